"""Named consumers are limited in number, removed when unused, and outlive the server's end."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from reading import PATIENCE_S

from bridge import (
    BridgeSettings,
    ConsumerLimitError,
    ConsumerSpec,
    JetStreamBridge,
    LogSettings,
    MemorySettings,
    MemoryStreamBridge,
    NatsSettings,
    StreamCapacityExceededError,
    new_event,
)

IDLE_S = 0.3


@pytest.fixture(params=["memory", "jetstream"])
async def limited(request, server):
    """Open a bridge with limits of its own: ``async with limited(max_consumers=2) as bridge``."""

    @asynccontextmanager
    async def open_bridge(**limits):
        if request.param == "memory":
            made = MemoryStreamBridge(MemorySettings(**limits))
        else:
            nats = NatsSettings(url=server.url, user=server.user, password=server.password)
            made = JetStreamBridge(BridgeSettings(nats=nats, log=LogSettings(**limits)))
        async with made as bridge:
            await bridge.create("run-1", thread_id="thread-1")
            yield bridge

    return open_bridge


async def names(bridge):
    return [info.name for info in await bridge.list_consumers()]


async def test_one_name_too_many_is_an_error_that_says_what_to_do(limited):
    async with limited(max_consumers=2) as bridge:
        for name in ("one", "two"):
            async with bridge.consume(name):
                pass
        with pytest.raises(ConsumerLimitError, match="delete") as caught:
            async with bridge.consume("three"):
                pass
        assert isinstance(caught.value, StreamCapacityExceededError)
        assert await names(bridge) == ["one", "two"]
        async with bridge.consume("two"):
            pass
        await bridge.delete_consumer("one")
        async with bridge.consume("three") as deliveries:
            assert len(await deliveries.fetch(1, wait_s=PATIENCE_S)) == 1


async def test_leaked_durable_consumers_a_name_that_nobody_uses_is_removed(limited, eventually):
    async with limited(consumer_idle_s=IDLE_S) as bridge:
        async with bridge.consume("leaked"):
            assert await names(bridge) == ["leaked"]

        async def nobody():
            return await names(bridge) == []

        await eventually(nobody)


async def test_a_name_in_use_is_not_removed_however_silent_it_is(limited):
    async with limited(consumer_idle_s=IDLE_S) as bridge, bridge.consume("quiet") as deliveries:
        (birth,) = await deliveries.fetch(1, wait_s=PATIENCE_S)
        await birth.ack()
        assert await deliveries.fetch(1, wait_s=IDLE_S * 4) == []
        assert await names(bridge) == ["quiet"]


async def test_the_name_that_writes_the_archive_is_never_removed(limited):
    async with limited(consumer_idle_s=IDLE_S) as bridge:
        async with bridge.open_consumer(ConsumerSpec.checked("sink", is_kept=True)):
            pass
        async with bridge.consume("other") as deliveries:
            (birth,) = await deliveries.fetch(1, wait_s=PATIENCE_S)
            assert await deliveries.fetch(1, wait_s=IDLE_S * 4) == []
            await birth.ack()
        assert "sink" in await names(bridge)


async def test_leaked_durable_consumers_an_idle_reader_asks_rarely(server, monkeypatch):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    async with JetStreamBridge(BridgeSettings(nats=nats)) as bridge:
        sent = []
        publish = bridge._connection.publish

        def count(subject, *args, **options):
            sent.append(subject)
            publish(subject, *args, **options)

        async with bridge.consume("idle") as deliveries:
            monkeypatch.setattr(bridge._connection, "publish", count)
            for _ in range(20):
                assert await deliveries.fetch(1, wait_s=0.02) == []
        assert len(sent) <= 2


async def test_every_event_is_handled_through_kills_of_the_server(server):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    settings = BridgeSettings(nats=nats)
    seen = set()
    async with JetStreamBridge(settings) as publisher, JetStreamBridge(settings) as reader:
        await publisher.create("run-1", thread_id="thread-1")

        async def publish():
            for number in range(60):
                await publisher.publish_many("run-1", [new_event("note", number)] * 5)
                if number in (20, 40):
                    await server.kill()
                    await server.restart()
            return await publisher.publish_end("run-1")

        publishing = asyncio.create_task(publish())
        async with (
            asyncio.timeout(PATIENCE_S * 2),
            reader.consume("steady", ack_wait_s=1, max_deliver=None) as deliveries,
        ):
            while len(seen) < 302:
                for delivery in await deliveries.fetch(50, wait_s=1):
                    seen.add(delivery.event.run_seq)
                    await delivery.ack()
        await publishing
    assert seen == set(range(1, 303))
