"""Unmodified clients follow a thread over a network that cuts connections, and miss nothing."""

import asyncio
from contextlib import aclosing

import pytest
from js_client import SDKS
from langgraph_sdk import get_client, get_sync_client

from bridge import new_event

# What the SDK says when it comes back before it has had any event.
pytestmark = pytest.mark.filterwarnings("ignore:Reconnecting without a Last-Event-ID:UserWarning")

EVENTS = 300


@pytest.fixture
async def thread_id(http):
    async with http.post("/threads", json={}) as answer:
        return (await answer.json())["thread_id"]


async def read_with_python(url, thread_id):
    async with get_client(url=url, api_key=None) as client:
        async for part in await client.threads.join_stream(thread_id):
            yield part.event, part.data


async def read_with_synchronous_python(url, thread_id):
    with get_sync_client(url=url, api_key=None) as client:
        parts = client.threads.join_stream(thread_id)
        while True:
            part = await asyncio.to_thread(next, parts)
            yield part.event, part.data


async def read_with_npm(js, thread_id):
    async for part in js.parts("threads.joinStream", thread_id, {"streamMode": ["run_modes"]}):
        yield part["event"], part["data"]


async def read_to_end(reading):
    """Return what a client reads up to the end of a run."""
    found = []
    async with asyncio.timeout(60), aclosing(reading):
        async for event, data in reading:
            found.append((event, data))
            if event == "metadata" and data.get("status") == "run_done":
                break
    return found


@pytest.fixture(params=["python", "synchronous python", *SDKS])
async def reading(request, proxy, thread_id, open_js):
    """What one client reads of the thread through the proxy."""
    if request.param in SDKS:
        return read_with_npm(await open_js(request.param, proxy.url), thread_id)
    read = {"python": read_with_python, "synchronous python": read_with_synchronous_python}
    return read[request.param](proxy.url, thread_id)


async def test_a_client_that_is_cut_goes_on(gateway, proxy, reading, http, thread_id, wire):
    # First before any event has come, then in the middle of a run.
    cuts = {0: "reset", 6_000: "end"}
    is_open = asyncio.Event()

    def cut(connection):
        is_open.set()
        if cuts and connection.sent_bytes > min(cuts):
            connection.cut(reset=cuts.pop(min(cuts)) == "reset")

    proxy.on_answer = cut
    following = asyncio.create_task(read_to_end(reading))
    await is_open.wait()
    path = f"/threads/{thread_id}/runs"
    async with http.post(path, json={"assistant_id": "echo", "stream_mode": "custom"}) as answer:
        run = wire.OpenRun(gateway, thread_id, (await answer.json())["run_id"])
    await run.publish_many([new_event("echo", {"n": n}) for n in range(EVENTS)])
    await run.end()
    found = await following
    assert [data["n"] for event, data in found if event == "echo"] == list(range(EVENTS))
    assert found[-1][1]["run_id"] == run.run_id
    assert not cuts
