"""Gateway, worker and sink as processes of their own, whose logs are files."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

from api.environment import child_environment

MODULES = {"gateway": "api.gateway", "worker": "runs.worker", "sink": "store.sink"}


class RoleProcess:
    """One process, and what it has logged."""

    def __init__(self, process, log):
        self.process = process
        self._log = log
        self.url = None

    def lines(self):
        """Return what it has logged so far, as JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def find(self, event):
        """Return the first line of an event, if there is one."""
        return next((line for line in self.lines() if line["event"] == event), None)


@asynccontextmanager
async def running_role(name, settings, directory):
    """Run a role until the context ends; a gateway has its URL from the beginning."""
    directory.mkdir(exist_ok=True)
    log = directory / f"{name}.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", MODULES[name]),
            env=child_environment(settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    role = RoleProcess(process, log)
    try:
        if name == "gateway":
            async with asyncio.timeout(30):
                role.url = (await process.stdout.readline()).decode().strip()
            assert role.url, log.read_text()
        yield role
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(20):
            await process.communicate()
