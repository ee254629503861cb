"""Run several nats-servers as one JetStream cluster, children of this process: for tests.

It shows what a leader's death does to a log with replicas. It is no deployment: all nodes share
one machine and one disk.
"""

import asyncio
import secrets
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.server.config import EmbeddedServerSettings
from bridge.server.embedded import EmbeddedServer
from bridge.server.free_port import pick_free_port
from bridge.server.membership import HOST, ClusterMembership
from bridge.server.users import ServerPasswords


class EmbeddedCluster:
    """Some nodes with the same credentials; an async context manager.

    Args:
        data_dir: Holds a directory for each node.
        size: How many nodes.
        settings: As for one server; a port is refused, because each node needs its own.

    Attributes:
        nodes: The servers; each may be killed and restarted by itself.
        user: The operator.
        password: Its password.
    """

    def __init__(
        self, data_dir: Path, *, size: int = 3, settings: EmbeddedServerSettings | None = None
    ) -> None:
        settings = settings or EmbeddedServerSettings()
        if settings.port is not None:
            msg = "the nodes of a cluster cannot share one port; leave it out"
            raise ValueError(msg)
        self.user = settings.user
        passwords = ServerPasswords.make(settings.password)
        self.password = passwords.operator
        name = f"jetrun-{secrets.token_hex(4)}"
        ports = tuple(pick_free_port(HOST) for _ in range(size))
        memberships = [ClusterMembership(name, port, ports) for port in ports]
        self.nodes = tuple(
            EmbeddedServer(data_dir / f"node-{number}", settings, membership, passwords)
            for number, membership in enumerate(memberships, start=1)
        )
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """The addresses of all nodes with commas; known once they have started."""
        return ",".join(node.url for node in self.nodes)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for node in self.nodes:
                stack.push_async_exit(node)
            async with asyncio.TaskGroup() as starting:
                for node in self.nodes:
                    starting.create_task(node.start())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
