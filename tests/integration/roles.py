"""Gateway, worker and sink as processes of their own."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext

from api.environment import child_environment
from api.settings import Role

MODULES = {Role.GATEWAY: "api.gateway", Role.WORKER: "runs.worker", Role.SINK: "store.sink"}


class RoleProcess:
    """One process; a gateway's has its URL."""

    def __init__(self, process, log):
        self.process = process
        self._log = log
        self.url = None

    def lines(self):
        """Return what it has logged into its file so far, as JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def find(self, event):
        """Return the first line of an event, if there is one."""
        return next((line for line in self.lines() if line["event"] == event), None)


@asynccontextmanager
async def running_role(role, settings, log=None):
    """Run a role until the context ends; it may be killed before.

    A gateway answers from the beginning. What is logged goes into the file ``log``; without one,
    to where the tests themselves write.
    """
    with log.open("wb") if log else nullcontext() as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", MODULES[role]),
            env=child_environment(settings),
            stdout=asyncio.subprocess.PIPE if role == Role.GATEWAY else None,
            stderr=stderr,
        )
    running = RoleProcess(process, log)
    try:
        if role == Role.GATEWAY:
            async with asyncio.timeout(30):
                running.url = (await process.stdout.readline()).decode().strip()
            assert running.url, "the gateway ended before it told its URL"
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(20):
            await process.communicate()


@asynccontextmanager
async def running_roles(settings, directory):
    """Run one process of each role; yields them by their names, with files for their logs."""
    async with AsyncExitStack() as stack:
        yield {
            role: await stack.enter_async_context(
                running_role(role, settings, directory / f"{role}.log")
            )
            for role in Role
        }
