"""A gateway in a process of its own, on a port that stays the same: it can be killed."""

import asyncio
import socket

from commands import JETRUN

from api.environment import child_environment


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class GatewayProcess:
    """Runs inside ``async with``; meanwhile it may be killed, and started again."""

    def __init__(self, settings, **http):
        self._settings = settings
        self._http = http
        self._port = free_port()
        self._process = None
        self.url = f"http://127.0.0.1:{self._port}"

    async def start(self):
        """Return when it answers."""
        http = self._settings.http.model_copy(update={**self._http, "port": self._port})
        settings = self._settings.model_copy(update={"http": http})
        self._process = await asyncio.create_subprocess_exec(
            JETRUN,
            "serve",
            "--roles",
            "gateway",
            env=child_environment(settings),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
        assert self.url in line.decode()

    async def kill(self):
        """SIGKILL: nothing is finished, no connection is closed in order."""
        self._process.kill()
        await self._process.wait()

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            async with asyncio.timeout(20):
                await self._process.wait()
