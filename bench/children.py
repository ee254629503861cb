"""Processes of a measurement: they end with it, and what they cost can be told."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from api.environment import child_environment
from api.http_settings import HttpSettings
from api.settings import Settings
from bridge import LoggingSettings, NatsSettings
from bridge.server.embedded import EmbeddedServer

_ROOT: Final = Path(__file__).parents[1]
_STOP_S: Final = 20.0
_START_S: Final = 30.0


@asynccontextmanager
async def child(
    module: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[Process]:
    """Run a module in a process of its own; its standard input and output are pipes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=PIPE, stdout=PIPE, env=environment, cwd=_ROOT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def read_line(process: Process) -> str:
    """Return the next line that a child prints, for example the address where it listens."""
    assert process.stdout is not None
    async with asyncio.timeout(_START_S):
        line = await process.stdout.readline()
    assert line, f"child {process.pid} ended"
    return line.decode().strip()


def settings_of(server: EmbeddedServer, data: Path) -> Settings:
    """Return the settings of gateway and worker on ``server``."""
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    # No heartbeat may fall into a measurement and be counted.
    http = HttpSettings(port=0, heartbeat_s=3600)
    return Settings(nats=nats, http=http, logging=LoggingSettings(level="warning"), data=data)


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncGenerator[tuple[Process, str]]:
    """Run a gateway; yields its process and its URL."""
    async with child("api.gateway", child_environment(settings)) as process:
        yield process, await read_line(process)


@asynccontextmanager
async def worker(settings: Settings) -> AsyncGenerator[Process]:
    """Run a worker; it serves as soon as it has connected."""
    async with child("runs.worker", child_environment(settings)) as process:
        yield process


def cpu_seconds(process: Process) -> float:
    """Return the processor time that a process has used so far, in all its threads."""
    # Linux makes the clock of another process from its id: see clock_getcpuclockid(3).
    return time.clock_gettime((~process.pid << 3) | 2)
