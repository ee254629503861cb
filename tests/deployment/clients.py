"""Clients of the deployment: they know its one URL, and go on whatever happens behind it."""

import asyncio
import json
from uuid import uuid4

import aiohttp

REQUEST = aiohttp.ClientTimeout(total=90, sock_connect=10)
PAUSE_S = 0.1


class LoadedClient:
    """Makes runs one after the other, and reads each to its end.

    Attributes:
        runs: The ids of finished runs, with the numbers of their events.
        refusals: Answers that were errors, and connections that could not be made.
        breaks: Streams that broke off without an end.
    """

    def __init__(self, session, url, given):
        self._session = session
        self._url = url
        self._given = given
        self.runs = {}
        self.refusals = []
        self.breaks = 0
        self.is_over = False

    async def work(self):
        while not self.is_over:
            await self._one_run()

    async def _one_run(self):
        thread_id = str(uuid4())
        run_id = await self._create(thread_id)
        path = f"/threads/{thread_id}/runs/{run_id}/stream"
        seen, last, is_ended = [], "-1", False
        while not is_ended:
            async for name, event_id in self._events(path, last):
                seen.append(int(event_id.split("-")[1]))
                last, is_ended = event_id, name == "end"
        self.runs[run_id] = seen

    async def _create(self, thread_id):
        body = {"assistant_id": "works", "input": self._given, "if_not_exists": "create"}
        headers = {"Idempotency-Key": uuid4().hex}
        while True:
            try:
                async with self._session.post(
                    f"{self._url}/threads/{thread_id}/runs", json=body, headers=headers
                ) as answer:
                    if answer.ok:
                        return (await answer.json())["run_id"]
                    self.refusals.append(f"create {answer.status} {await answer.text()}")
            except (aiohttp.ClientError, TimeoutError) as error:
                self.refusals.append(f"create {error!r}")
            await asyncio.sleep(PAUSE_S)

    async def _events(self, path, last):
        """Yield what one connection brings; a stream that ends early is opened again."""
        headers = {"Last-Event-ID": last}
        is_open = False
        try:
            async with self._session.get(self._url + path, headers=headers) as answer:
                if not answer.ok:
                    self.refusals.append(f"stream {answer.status} {await answer.text()}")
                    await asyncio.sleep(PAUSE_S)
                    return
                is_open = True
                fields = {}
                async for line in answer.content:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name and value:
                        fields[name] = value
                    elif not line.strip():
                        if "id" in fields:
                            yield fields["event"], fields["id"]
                        assert fields.get("event") != "gap", json.dumps(fields)
                        fields = {}
        except (aiohttp.ClientError, TimeoutError) as error:
            if is_open:
                self.breaks += 1
            else:
                self.refusals.append(f"stream {error!r}")
            await asyncio.sleep(PAUSE_S)
