"""A gateway dies in the middle of a stream: the client's own iterator goes on, exactly."""

import asyncio

import pytest
from gateway_process import GatewayProcess
from langgraph_sdk import get_client, get_sync_client

pytestmark = pytest.mark.usefixtures("worker")

EVENTS = 300
#: About as long as a restarted gateway takes to answer again, twice.
BODY = {"events": EVENTS, "delay_s": 0.02}


@pytest.fixture
async def killable(settings):
    async with GatewayProcess(settings) as process:
        yield process


def check(events):
    assert [name for name, _ in events[:1] + events[-2:]] == ["metadata", "values", "end"]
    numbers = [data["n"] for name, data in events if name == "echo"]
    assert numbers == list(range(1, EVENTS + 1))


async def kill_and_restart(gateway):
    await gateway.kill()
    await gateway.start()


async def test_the_python_sdk_goes_on_when_the_gateway_was_killed_and_restarted(killable):
    events = []
    async with get_client(url=killable.url, api_key=None) as client, asyncio.TaskGroup() as group:
        thread_id = (await client.threads.create())["thread_id"]
        options = {"input": BODY, "stream_mode": ["custom", "values"]}
        async with asyncio.timeout(60):
            async for part in client.runs.stream(thread_id, "echo", **options):
                events.append((part.event, part.data))
                if len(events) == EVENTS // 3:
                    group.create_task(kill_and_restart(killable))
    check(events)


async def test_the_synchronous_python_sdk_goes_on_when_the_gateway_was_killed_and_restarted(
    killable,
):
    loop = asyncio.get_running_loop()
    events, restarts = [], []

    def read():
        with get_sync_client(url=killable.url, api_key=None) as client:
            thread_id = client.threads.create()["thread_id"]
            options = {"input": BODY, "stream_mode": ["custom", "values"]}
            for part in client.runs.stream(thread_id, "echo", **options):
                events.append((part.event, part.data))
                if len(events) == EVENTS // 3:
                    restart = kill_and_restart(killable)
                    restarts.append(asyncio.run_coroutine_threadsafe(restart, loop))

    async with asyncio.timeout(60):
        await asyncio.to_thread(read)
        await asyncio.wrap_future(restarts.pop())
    check(events)


async def test_the_npm_sdk_goes_on_when_the_gateway_was_killed_and_restarted(killable, open_js):
    events = []
    js = await open_js("sdk-1.15.0", killable.url)
    thread_id = (await js.call("threads.create", {}))["thread_id"]
    body = {"input": BODY, "streamMode": ["custom", "values"]}
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        async for part in js.parts("runs.stream", thread_id, "echo", body):
            events.append((part["event"], part["data"]))
            if len(events) == EVENTS // 3:
                group.create_task(kill_and_restart(killable))
    check(events)


async def test_a_second_gateway_takes_over_behind_a_proxy(killable, gateway, proxy, open_js, sdk):
    # npm 2.0.0 dies when the port refuses its connection: it needs another gateway in its place.
    events = []
    proxy.target = killable.url
    js = await open_js(sdk, proxy.url)
    thread_id = (await js.call("threads.create", {}))["thread_id"]
    body = {"input": BODY, "streamMode": ["custom", "values"]}
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        async for part in js.parts("runs.stream", thread_id, "echo", body):
            events.append((part["event"], part["data"]))
            if len(events) == EVENTS // 3:
                proxy.target = gateway.url
                group.create_task(killable.kill())
    check(events)


async def test_a_threads_stream_goes_on_at_a_second_gateway(killable, gateway, proxy):
    proxy.target = killable.url
    numbers = []
    async with (
        get_client(url=proxy.url, api_key=None) as client,
        client.threads.stream(assistant_id="echo") as thread,
        asyncio.TaskGroup() as group,
        asyncio.timeout(60),
    ):
        await thread.run.start(input=BODY)
        async for channel, item in thread.interleave_projections(["echo", "values"]):
            numbers.append(item["payload"]["n"] if channel == "echo" else channel)
            if len(numbers) == EVENTS // 3:
                proxy.target = gateway.url
                group.create_task(killable.kill())
    assert numbers == [*range(1, EVENTS + 1), "values"]


async def test_a_threads_stream_of_the_npm_sdk_goes_on_at_a_second_gateway(
    killable, gateway, proxy, open_js
):
    proxy.target = killable.url
    js = await open_js("sdk-1.15.0", proxy.url)
    thread_id = (await js.call("threads.create", {}))["thread_id"]
    events = []
    turns = [{"input": BODY}, {"input": {"events": 3}}]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        async for event in js.parts("threads.stream", thread_id, {"assistantId": "echo"}, turns):
            events.append(event)
            if len(events) == EVENTS // 3:
                proxy.target = gateway.url
                group.create_task(killable.kill())
    numbers = [event["params"]["data"]["payload"]["n"] for event in of(events, "custom")]
    assert numbers == [*range(1, EVENTS + 1), 1, 2, 3]
    phases = [event["params"]["data"]["event"] for event in of(events, "lifecycle")]
    assert phases == ["running", "completed", "running", "completed"]


def of(events, method):
    return [event for event in events if event["method"] == method]
