"""Run a nats-server as a child of this process: for a laptop, a demo, a test.

The server owns one data directory, listens on 127.0.0.1 only, and never outlives this process,
even when this process is SIGKILLed. What it acknowledged is in the directory, and the next server
on it serves it again.
"""

import asyncio
import logging
import os
import secrets
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from bridge.server.binary import find_server_binary
from bridge.server.config import EmbeddedServerSettings, find_nats_conf, nats_conf_variables
from bridge.server.directory_lock import DirectoryLock
from bridge.server.errors import PortInUseError, ServerStartError
from bridge.server.free_port import pick_free_port
from bridge.server.log_file import ServerLog
from bridge.server.membership import HOST, ClusterMembership
from bridge.server.parent_guard import ParentGuard
from bridge.server.probe import ServerAddress, is_ready
from bridge.server.users import NatsUser, ServerPasswords

_LOG = logging.getLogger(__name__)

LOG_FILE = "nats-server.log"

_MAX_PORT_ATTEMPTS = 20
_POLL_S = 0.001
_POLL_LIMIT_S = 0.02


class EmbeddedServer:
    """One nats-server with JetStream on one data directory; an async context manager.

    Port and credentials stay the same for the life of the object, through :meth:`kill` and
    :meth:`restart`. Start, stop and wait on one event loop; the server dies with the thread of
    that loop.

    Args:
        data_dir: Holds the server's store, log and lock.
        settings: Limits, port and credentials.
        membership: The server's place in a cluster; None makes it a server on its own.
        passwords: Of its users, where other nodes share them; None makes them, but for the one that
            the settings give.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: EmbeddedServerSettings | None = None,
        membership: ClusterMembership | None = None,
        passwords: ServerPasswords | None = None,
    ) -> None:
        self._settings = settings or EmbeddedServerSettings()
        self._membership = membership
        self.data_dir = data_dir.absolute()
        self.log_path = self.data_dir / LOG_FILE
        self._log = ServerLog(self.log_path)
        self.config_path = find_nats_conf()
        self.user = self._settings.user
        self._passwords = passwords or ServerPasswords.make(self._settings.password)
        self.server_name = f"jetrun-{secrets.token_hex(8)}"
        self._lock = DirectoryLock(self.data_dir)
        self._port = self._settings.port
        self._process: asyncio.subprocess.Process | None = None
        self._guard: ParentGuard | None = None

    @property
    def password(self) -> SecretStr:
        """The operator's password."""
        return self._passwords.operator

    def password_of(self, user: NatsUser) -> SecretStr:
        """Return the password of one of the other users."""
        return self._passwords.users[user]

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1; known after the first start."""
        if self._port is None:
            msg = "the server was not started yet"
            raise RuntimeError(msg)
        return self._port

    @property
    def url(self) -> str:
        """The address to connect to, without credentials, so that it may be logged."""
        return f"nats://{HOST}:{self.port}"

    @property
    def sync_always(self) -> bool:
        """Whether it forces each write to disk before it acknowledges it."""
        return self._settings.sync_always

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            msg = "the server is not running"
            raise RuntimeError(msg)
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.returncode is None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Lock the data directory, start the server and wait until it serves JetStream.

        Raises:
            ServerBinaryNotFoundError: There is no nats-server to execute.
            ServerTooOldError: It is older than what the bridge needs.
            DirectoryInUseError: Another process runs a server on the directory.
            PortInUseError: Something else listens on the wanted port.
            ServerStartError: The server ended or was not ready in time; shows its log.
        """
        if self.is_running:
            msg = "the server is running already"
            raise RuntimeError(msg)
        binary = await find_server_binary(self._settings.binary)
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._lock.acquire()
        try:
            await self._reap()
            await self._launch_on_some_port(binary)
        except BaseException:
            self._lock.release()
            raise

    async def stop(self) -> None:
        """End the server in order and free the directory; harmless when it does not run.

        SIGTERM first, SIGKILL after the grace, or at once when this call is cancelled.
        """
        try:
            await self._terminate()
        finally:
            self._lock.release()

    async def kill(self) -> None:
        """End the server with SIGKILL, as a crash would; the directory stays locked for us."""
        if self._process is not None and self.is_running:
            # It may have ended by itself without the loop knowing yet.
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._reap()

    async def restart(self) -> None:
        """Start on the same store, port and credentials, after stopping the server if it runs.

        Raises:
            BridgeError: As for :meth:`start`; then no server runs and the directory is free.
        """
        await self._terminate()
        await self.start()

    async def wait(self) -> int:
        """Wait until the server's process ends, whoever ends it, and return its exit status."""
        if self._process is None:
            msg = "the server is not running"
            raise RuntimeError(msg)
        return await self._process.wait()

    async def _terminate(self) -> None:
        try:
            if self._process is not None and self.is_running:
                # It may have ended by itself without the loop knowing yet.
                with suppress(ProcessLookupError):
                    self._process.terminate()
                async with asyncio.timeout(self._settings.stop_grace_s):
                    await self._process.wait()
        except TimeoutError:
            _LOG.warning("embedded.killed", extra={"grace_s": self._settings.stop_grace_s})
        finally:
            await self.kill()

    async def _launch_on_some_port(self, binary: Path) -> None:
        if self._port is not None:
            await self._launch(binary, self._port)
            return
        for attempt in range(_MAX_PORT_ATTEMPTS):
            port = pick_free_port(HOST)
            try:
                await self._launch(binary, port)
            except PortInUseError:
                # Taken by someone else between our look and the server's.
                if attempt + 1 == _MAX_PORT_ATTEMPTS:
                    raise
            else:
                self._port = port
                return

    async def _launch(self, binary: Path, port: int) -> None:
        self._log.begin()
        try:
            await self._spawn(binary, port)
            await self._become_ready(port)
        except BaseException:
            await self.kill()
            raise

    async def _spawn(self, binary: Path, port: int) -> None:
        variables = nats_conf_variables(
            self._settings, self.data_dir, self._passwords, self._membership
        )
        arguments = ("-c", self.config_path, "-a", HOST, "-p", str(port), "-n", self.server_name)
        membership = () if self._membership is None else self._membership.arguments()
        with self.log_path.open("ab") as log, ParentGuard() as guard:
            self._process = await asyncio.create_subprocess_exec(
                *guard.argv,
                binary,
                *arguments,
                *membership,
                stdin=guard.stdin,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, **variables},
                # Ctrl-C in the terminal is for this process, which then stops the server in order.
                start_new_session=True,
                # The server inherits the lock: while it lives, nobody else touches its files.
                pass_fds=(self._lock.fd,),
            )
            self._guard = guard

    async def _become_ready(self, port: int) -> None:
        address = ServerAddress(HOST, port, self.server_name, self.user, self.password)
        deadline = time.monotonic() + self._settings.start_timeout_s
        pause_s = _POLL_S
        while time.monotonic() < deadline:
            if not self.is_running:
                raise self._start_failure("it ended", port)
            if await is_ready(address):
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _POLL_LIMIT_S)
        reason = f"not ready after {self._settings.start_timeout_s:g} s"
        raise self._start_failure(reason, port)

    def _start_failure(self, reason: str, port: int) -> PortInUseError | ServerStartError:
        tail = self._log.tail()
        if "address already in use" in tail:
            return PortInUseError(HOST, port)
        return ServerStartError(reason, self.log_path, tail)

    async def _reap(self) -> None:
        # Called when the process has ended or has got a SIGKILL, so the wait is short.
        if self._process is not None:
            await self._process.wait()
            self._process = None
        if self._guard is not None:
            self._guard.release()
            self._guard = None
