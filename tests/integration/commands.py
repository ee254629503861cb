"""``jetrun`` commands as processes of their own."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from api.environment import child_environment

JETRUN = Path(sys.executable).with_name("jetrun")


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@asynccontextmanager
async def running_command(settings, *arguments, **environment):
    """Start a command with the settings of a test; variables given by name come on top.

    What still runs at the end of the context is killed.
    """
    process = await asyncio.create_subprocess_exec(
        JETRUN,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**child_environment(settings), "COLUMNS": "200", **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run_command(settings, *arguments, given=b"", within_s=90, **environment):
    """Run a command to its end."""
    async with (
        asyncio.timeout(within_s),
        running_command(settings, *arguments, **environment) as process,
    ):
        out, err = await process.communicate(given)
        return Outcome(process.returncode, out.decode(), err.decode())
