"""``jetrun`` commands as processes of their own."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from api.environment import child_environment

JETRUN = Path(sys.executable).with_name("jetrun")
#: The environment of the tests without any setting.
NO_SETTINGS = {name: text for name, text in os.environ.items() if not name.startswith("JETRUN_")}


class Outcome(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@asynccontextmanager
async def running_command(settings, *arguments, **environment):
    """Start a command with the settings of a test; variables given by name come on top.

    Without settings (None) it finds out itself what runs where. What still runs at the end of the
    context is killed.
    """
    given = NO_SETTINGS if settings is None else child_environment(settings)
    process = await asyncio.create_subprocess_exec(
        JETRUN,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**given, "COLUMNS": "200", **environment},
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
