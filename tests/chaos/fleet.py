"""The processes of a deployment, to be killed, and clients that know nothing but HTTP."""

import asyncio
import sys
from contextlib import asynccontextmanager
from uuid import uuid4

import aiohttp

from api.environment import child_environment
from api.http_settings import HttpSettings

#: One request to a gateway that neither answers nor dies.
REQUEST_S = 60.0
_FIRST_LINE_S = 60.0


class Fleet:
    """Gateways and workers as processes of their own; a gateway's successor takes its port.

    Args:
        settings: Of all of them.
        logs: A directory for what they write.
    """

    def __init__(self, settings, logs):
        self._settings = settings
        self._logs = logs
        self._started = []

    async def worker(self):
        return await self._start("runs.worker", self._settings)

    async def gateway(self, port=0):
        """Start a gateway; return its process and its URL once it answers."""
        http = HttpSettings(port=port, settle_after_s=0.2, max_streams=10_000)
        settings = self._settings.model_copy(update={"http": http})
        process = await self._start("api.gateway", settings)
        async with asyncio.timeout(_FIRST_LINE_S):
            url = (await process.stdout.readline()).decode().strip()
        assert url, f"gateway {process.pid} did not start"
        return process, url

    async def _start(self, module, settings):
        with (self._logs / f"{len(self._started)}-{module}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", module),
                env=child_environment(settings),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._started.append(process)
        return process

    async def close(self):
        for process in self._started:
            if process.returncode is None:
                process.kill()
        for process in self._started:
            await process.communicate()


class Client:
    """Asks one gateway after the other until one of them answers.

    Args:
        urls: The gateways' URLs; the first is asked first.
        random_: Says which is asked next.
    """

    def __init__(self, session, urls, random_):
        self._session = session
        self._urls = urls
        self._random = random_

    async def ask(self, method, path, **options):
        """Return the status and the document of the first answer that is whole.

        A gateway that has no server at the moment does not count as an answer.
        """
        url = self._urls[0]
        while True:
            try:
                async with self._session.request(method, url + path, **options) as answer:
                    status, body = answer.status, await answer.read()
                if status not in (503, 500):
                    document = await answer.json(content_type=None) if body.strip() else None
                    return status, document
            except (aiohttp.ClientError, TimeoutError):
                pass
            url = self._random.choice(self._urls)
            await asyncio.sleep(self._random.uniform(0.02, 0.2))

    async def create(self, thread_id, strategy, given, **options):
        """Create a run, once whatever happens; return its status and its shape or a problem."""
        body = {
            "assistant_id": "works",
            "input": given,
            "multitask_strategy": strategy,
            "if_not_exists": "create",
            **options,
        }
        key = {"Idempotency-Key": uuid4().hex}
        return await self.ask("POST", f"/threads/{thread_id}/runs", json=body, headers=key)

    async def wait(self, run):
        """Return what the run results in, as its waiting client sees it."""
        return await self.ask("GET", f"/threads/{run['thread_id']}/runs/{run['run_id']}/join")


@asynccontextmanager
async def open_session():
    timeout = aiohttp.ClientTimeout(total=REQUEST_S, sock_connect=5)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield session
