"""What is too large is measured against the connected server, also after it was replaced."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge import (
    BridgeSettings,
    EmbeddedServer,
    EmbeddedServerSettings,
    EventTooLargeError,
    JetStreamBridge,
    NatsSettings,
    RunRef,
    new_event,
)

KIB = 1024
SMALL, LARGE = 64 * KIB, 256 * KIB
RUN = "run-1"


@pytest.fixture
async def servers(tmp_path):
    """Run servers with different limits, one after the other, on one store, port and password."""
    known = {}

    @asynccontextmanager
    async def run(max_payload_bytes):
        settings = EmbeddedServerSettings(max_payload_bytes=max_payload_bytes, **known)
        async with EmbeddedServer(tmp_path / "nats", settings) as server:
            known.update(port=server.port, password=server.password)
            yield server

    return run


@asynccontextmanager
async def open_bridge(server):
    access = NatsSettings(
        url=server.url, user=server.user, password=server.password, reconnect_wait_s=0.02
    )
    async with JetStreamBridge(BridgeSettings(nats=access)) as bridge:
        yield bridge


async def events_of(bridge):
    return [event.data for event in await bridge.read_after(RunRef("thread-1", RUN), 1)]


def text(size_bytes):
    """Data whose JSON has so many bytes."""
    return "x" * (size_bytes - 2)


@pytest.mark.parametrize("headers", ["short", "long"])
async def test_what_the_limit_allows_is_stored_and_one_byte_more_is_refused(servers, headers):
    """The longest names and much metadata count, too: the server never cuts the connection."""
    name, options = "note", {}
    if headers == "long":
        name = "\U0001f600" * 128
        options = {
            "category": "\U0001f600" * 128,
            "event_id": "\u00e9" * 128,
            "metadata": {"k": "\u2028" * 1000},
        }
    async with servers(SMALL) as server, open_bridge(server) as bridge:
        await bridge.create(RUN, thread_id="thread-1")
        with pytest.raises(EventTooLargeError) as caught:
            await bridge.publish(RUN, name, text(SMALL), **options)
        assert caught.value.limit_bytes < SMALL <= caught.value.size_bytes
        fitting = SMALL - (caught.value.size_bytes - caught.value.limit_bytes)
        with pytest.raises(EventTooLargeError):
            await bridge.publish(RUN, name, text(fitting + 1), **options)
        async with asyncio.timeout(5):
            await bridge.publish(RUN, name, text(fitting), **options)
        assert await events_of(bridge) == [text(fitting)]


async def test_a_server_that_takes_more_after_its_restart_gets_more(servers):
    async with servers(SMALL) as server, open_bridge(server) as bridge:
        await bridge.create(RUN, thread_id="thread-1")
        await server.stop()
        async with servers(LARGE):
            await bridge.publish(RUN, "note", 1)
            await bridge.publish(RUN, "note", text(LARGE // 2))
            assert len(await events_of(bridge)) == 2


@pytest.mark.parametrize("count", [1, 40], ids=["among few", "in a batch"])
async def test_what_waits_for_a_server_that_then_takes_less_is_refused_alone(
    servers, eventually, count
):
    async with servers(LARGE) as server, open_bridge(server) as bridge:
        await bridge.create(RUN, thread_id="thread-1")
        await server.stop()
        await eventually(lambda: not bridge.is_connected)
        small = [asyncio.create_task(bridge.publish(RUN, "note", n)) for n in range(count)]
        large = asyncio.create_task(bridge.publish(RUN, "note", text(LARGE // 2)))
        whole = asyncio.create_task(
            bridge.publish_many(RUN, [new_event("note", "a"), new_event("note", text(LARGE // 2))])
        )
        small += [
            asyncio.create_task(bridge.publish(RUN, "note", n)) for n in range(count, 2 * count)
        ]
        await asyncio.sleep(0)
        async with servers(SMALL), asyncio.timeout(20):
            outcomes = await asyncio.gather(large, whole, return_exceptions=True)
            for outcome in outcomes:
                assert isinstance(outcome, EventTooLargeError)
                assert outcome.limit_bytes == SMALL < outcome.size_bytes
            await asyncio.gather(*small)
            assert await events_of(bridge) == list(range(2 * count))
