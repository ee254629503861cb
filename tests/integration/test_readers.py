"""Readers cost the gateway sockets and the broker nothing; one that leaves disturbs nobody."""

import asyncio
import json
import resource
import time

import nats
import pytest

READERS = 1000


@pytest.fixture
async def consumers(server):
    """How many consumers the server counts, over all streams of the account."""
    client = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )

    async def count():
        answer = await client.request("$JS.API.INFO", timeout=5)
        return json.loads(answer.data)["consumers"]

    yield count
    await client.close()


@pytest.fixture
def many_sockets():
    """Both ends of every connection are in this process."""
    wanted = 3 * READERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def open_reader(url, path):
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return reader, writer


async def read_to_end(reader, writer):
    body = await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return body.count(b"event: updates"), body.count(b"event: end")


@pytest.mark.usefixtures("many_sockets")
async def test_a_thousand_readers_of_one_run_make_no_consumer(gateway, open_run, consumers):
    before = await consumers()
    async with asyncio.timeout(60):
        path = f"{open_run.path}/stream"
        readers = [await open_reader(gateway.url, path) for _ in range(READERS)]
        await open_run.publish("updates", 1)
        assert (await gateway.bridge.status(open_run.run_id)).subscribers == READERS
        assert await consumers() == before
        await open_run.publish("updates", 2)
        await open_run.end()
        seen = await asyncio.gather(*(read_to_end(*reader) for reader in readers))
    assert seen == [(2, 1)] * READERS
    assert await consumers() == before


async def test_a_reader_that_leaves_is_forgotten_and_the_run_goes_on(
    gateway, open_run, http, wire, eventually
):
    async def subscribers():
        return (await gateway.bridge.status(open_run.run_id)).subscribers

    async with wire.read(http, f"{open_run.path}/stream") as staying:
        async with wire.read(http, f"{open_run.path}/stream") as leaving:
            await leaving.next()
            assert await subscribers() == 2
            leaving.response.close()

        async def one_is_left():
            return await subscribers() == 1

        await eventually(one_is_left, within_s=1)
        await open_run.publish("updates", 1)
        assert [(await staying.next_event())["event"] for _ in range(2)] == ["metadata", "updates"]
    async with http.get(open_run.path) as answer:
        assert (await answer.json())["status"] == "pending"


async def test_a_creator_that_leaves_a_wait_or_a_stream_cancels_only_if_it_said_so(
    http, eventually
):
    left = {}
    for mode in ("cancel", "continue"):
        for call in ("stream", "wait"):
            body = {"assistant_id": "echo", "on_disconnect": mode}
            response = await http.post(f"/runs/{call}", json=body)
            left[response.headers["Content-Location"]] = mode
            response.close()

    async def cancelled_are_interrupted():
        statuses = {path: await status_of(http, path) for path in left}
        return statuses == {
            path: "interrupted" if mode == "cancel" else "pending" for path, mode in left.items()
        }

    await eventually(cancelled_are_interrupted, within_s=2)


async def status_of(http, path):
    async with http.get(path) as answer:
        return (await answer.json())["status"]


async def test_a_client_that_reads_nothing_holds_nobody_up_and_is_cut_off(
    start_gateway, wire, new_session
):
    gateway = await start_gateway(heartbeat_s=0.05, stall_s=0.3)
    http = await new_session(gateway.url)
    open_run = await wire.create_run(gateway, http)
    path = f"{open_run.path}/stream"
    stalled = await open_reader(gateway.url, path)
    stalled[1].transport.pause_reading()
    async with wire.read(http, path) as frames, asyncio.timeout(30):
        await frames.next_event()
        count, started = 0, time.monotonic()
        while count < 100 or time.monotonic() - started < 4 * 0.3:
            await open_run.publish("updates", "x" * 200_000)
            while (event := await frames.next_event())["event"] != "updates":
                pass
            assert len(event["data"]) == 200_000, count
            count += 1
        stalled[1].transport.resume_reading()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await stalled[0].readexactly(count * 200_000)
    stalled[1].close()
