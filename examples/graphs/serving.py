"""Run ``jetrun serve`` with the graphs of this directory for as long as a program needs it."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
JETRUN = Path(sys.executable).with_name("jetrun")


@asynccontextmanager
async def serving(**variables: str) -> AsyncGenerator[str]:
    """Yield the URL of a server with these variables, which keeps its data in its own directory."""
    config = str(HERE / "langgraph.json")
    with TemporaryDirectory() as data:
        options = ("--port", "0", "--data", data, "--config", config)
        process = await asyncio.create_subprocess_exec(
            JETRUN,
            "serve",
            *options,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "JETRUN_LOGGING__LEVEL": "error", **variables},
        )
        try:
            line = (await process.stdout.readline()).decode()
            yield re.search(r"http://\S+", line)[0]
        finally:
            process.terminate()
            await process.communicate()
