"""The processes of the demonstration, each a child of its own, each killable.

The gateway is a separate process here, unlike under ``jetrun serve``: this process is the client
that must survive it.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from api.environment import child_environment
from api.nats_server import DIRECTORY, as_operator, as_role
from api.settings import Role, Settings
from api.stack import sink_spec, worker_spec
from api.startup_errors import ChildStartError
from api.supervisor import Child, ChildSpec, Supervisor, python_module
from bridge import EmbeddedServer, make_streams

START_TIMEOUT_S: Final = 30.0

_POLL_S = 0.05
_OK = 200
_PROBE_TIMEOUT = aiohttp.ClientTimeout(total=2.0)


class Stage:
    """nats-server, gateway, worker and sink on one data directory.

    Args:
        settings: Of all processes; the gateway's port must be given, because it stays the same
            through its restarts.
        logs: Directory for what the processes tell.
    """

    def __init__(self, settings: Settings, logs: Path) -> None:
        self._settings = settings.model_copy(update={"roles": (Role.GATEWAY,)})
        self._logs = logs
        self._server = EmbeddedServer(settings.data / DIRECTORY)
        self._exit = AsyncExitStack()
        self._gateway: Child | None = None
        self._children: tuple[Child, ...] = ()
        self.url = f"http://{settings.http.host}:{settings.http.port}"

    async def __aenter__(self) -> Self:
        """Start everything and wait until the gateway is ready.

        Raises:
            BridgeError: The NATS server cannot be started.
            ChildStartError: The gateway is not ready in time.
        """
        async with AsyncExitStack() as starting:
            await starting.enter_async_context(self._server)
            supervisor = await starting.enter_async_context(Supervisor())
            await self._start_children(supervisor)
            await self._become_ready()
            self._exit = starting.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    @property
    def processes(self) -> dict[str, int | None]:
        """The process ids by name."""
        return {
            "nats-server": self._server.pid,
            **{each.spec.name: each.pid for each in self._children},
        }

    async def kill_gateway(self) -> None:
        """SIGKILL the gateway; its supervisor starts it again on the same port."""
        if self._gateway is not None:
            self._gateway.kill()

    async def kill_server(self) -> None:
        """SIGKILL the NATS server and start it again on the same port and store.

        Raises:
            BridgeError: It does not start again.
        """
        await self._server.kill()
        await self._server.restart()

    async def _start_children(self, supervisor: Supervisor) -> None:
        await make_streams(as_operator(self._settings, self._server).bridge)
        environments = {
            role: child_environment(as_role(self._settings, self._server, role)) for role in Role
        }
        specs = (
            ChildSpec("gateway", python_module("api.gateway"), environments[Role.GATEWAY]),
            worker_spec(self._settings, environments[Role.WORKER]),
            sink_spec(environments[Role.SINK]),
        )
        self._children = tuple([await supervisor.start(self._logged(spec)) for spec in specs])
        self._gateway = self._children[0]

    def _logged(self, spec: ChildSpec) -> ChildSpec:
        return replace(spec, log_path=self._log_path(spec.name))

    def _log_path(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    async def _become_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        async with aiohttp.ClientSession(timeout=_PROBE_TIMEOUT) as session:
            while not await self._is_ready(session):
                if time.monotonic() > deadline:
                    reason = f"was not ready after {START_TIMEOUT_S:g} s"
                    raise ChildStartError("the gateway", reason, self._log_path("gateway"))
                await asyncio.sleep(_POLL_S)

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/readyz") as response:
                return response.status == _OK
        except (aiohttp.ClientError, OSError):
            # Not listening yet; TimeoutError is an OSError.
            return False
