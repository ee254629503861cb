"""Unmodified clients whose connections are cut go on by themselves, and miss nothing."""

import asyncio
import itertools
import json
import random
from contextlib import suppress

import aiohttp
import httpx
import pytest
from aiohttp_sse_client.client import EventSource
from httpx_sse import aconnect_sse
from langgraph_sdk import get_client, get_sync_client

pytestmark = [
    pytest.mark.usefixtures("worker"),
    # What the SDK says when it does what these tests are about.
    pytest.mark.filterwarnings("ignore:Request failed, attempting reconnect:UserWarning"),
]

EVENTS = 1500
BODY = {"events": EVENTS, "size": 200}


@pytest.fixture(params=["reset", "end"])
def cuts(request, proxy):
    """Cut each of the first connections in the middle of what it answers; count the cuts."""
    # The SDKs pause one second before the second attempt, two before the third and so on.
    limits = iter([random.randrange(8_000, 90_000) for _ in range(2)])
    made = []

    def arm():
        limit = next(limits, None)

        def cut(wire):
            if limit is not None and wire.sent_bytes > limit:
                made.append(limit)
                wire.cut(reset=request.param == "reset")
                arm()

        proxy.on_answer = cut

    arm()
    return made


def check(parts):
    numbers = [part["data"]["n"] for part in parts if part["event"] == "echo"]
    assert (parts[0]["event"], parts[-1]["event"]) == ("metadata", "end")
    assert numbers == list(range(1, EVENTS + 1))


@pytest.fixture
async def path(gateway, http, wire):
    """The path of a new run that a worker executes."""
    return (await wire.create_run(gateway, http, input=BODY)).path


async def test_the_python_sdk_goes_on(proxy, cuts):
    async with get_client(url=proxy.url, api_key=None) as client:
        thread_id = (await client.threads.create())["thread_id"]
        options = {"input": BODY, "stream_mode": "custom"}
        async with asyncio.timeout(60):
            parts = [part async for part in client.runs.stream(thread_id, "echo", **options)]
    check([{"event": part.event, "data": part.data} for part in parts])
    assert cuts


async def test_the_synchronous_python_sdk_goes_on(proxy, cuts):
    def read():
        with get_sync_client(url=proxy.url, api_key=None) as client:
            thread_id = client.threads.create()["thread_id"]
            options = {"input": BODY, "stream_mode": "custom"}
            return list(client.runs.stream(thread_id, "echo", **options))

    parts = await asyncio.to_thread(read)
    check([{"event": part.event, "data": part.data} for part in parts])
    assert cuts


async def test_the_npm_sdk_goes_on(proxy, cuts, open_js, sdk):
    js = await open_js(sdk, proxy.url)
    thread_id = (await js.call("threads.create", {}))["thread_id"]
    body = {"input": BODY, "streamMode": "custom"}
    check(await js.collect("runs.stream", thread_id, "echo", body))
    assert cuts


async def test_httpx_sse_goes_on_by_the_last_id(proxy, cuts, path):
    parts, last_id = [], None

    async def read(client):
        nonlocal last_id
        headers = {"Last-Event-ID": last_id} if last_id else {}
        async with aconnect_sse(client, "GET", f"{path}/stream", headers=headers) as source:
            async for event in source.aiter_sse():
                parts.append({"event": event.event, "data": json.loads(event.data)})
                last_id = event.id

    async with httpx.AsyncClient(base_url=proxy.url) as client, asyncio.timeout(60):
        while not parts or parts[-1]["event"] != "end":
            with suppress(httpx.TransportError):
                await read(client)
    check(parts)
    assert cuts


async def test_aiohttp_sse_client_goes_on_by_the_last_id(proxy, cuts, path):
    parts, last_id = [], "-1"

    async def read(session):
        nonlocal last_id
        headers = {"Last-Event-ID": last_id}
        async with EventSource(f"{path}/stream", session=session, headers=headers) as source:
            async for event in source:
                parts.append({"event": event.type, "data": json.loads(event.data)})
                last_id = event.last_event_id
                if event.type == "end":
                    return

    async with aiohttp.ClientSession(proxy.url) as session, asyncio.timeout(60):
        while not parts or parts[-1]["event"] != "end":
            with suppress(aiohttp.ClientError):  # it leaves a cut answer to its caller
                await read(session)
    check(parts)
    assert cuts


async def test_waiting_goes_on_over_a_cut_connection(proxy):
    # The heartbeats of the wait are the answer's first bytes.
    seen = itertools.count(1)
    proxy.on_answer = lambda wire: next(seen) == 3 and wire.cut(reset=True)
    async with get_client(url=proxy.url, api_key=None) as client:
        thread_id = (await client.threads.create())["thread_id"]
        given = {"sleep_s": 7, "values": {"done": True}}
        values = await client.runs.wait(thread_id, "echo", input=given)
    assert values == {"done": True}
    assert proxy.connections > 1
