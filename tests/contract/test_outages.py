"""The broker goes away and comes back: nothing acknowledged is lost, and nothing is doubled.

In memory there is no broker; there the bridge itself is closed and started again.
"""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
from reading import PATIENCE_S, notes_of, read_all

from bridge import (
    CANCELLED,
    END,
    BridgeClosedError,
    BridgeSettings,
    EmbeddedServer,
    JetStreamBridge,
    MemorySettings,
    MemoryStreamBridge,
    NatsSettings,
    StreamEvent,
    StreamGap,
    UnavailableError,
    new_event,
)

OUTAGES = 3
EVENTS = 120


class Ground:
    """Two bridges to one log, and what takes them away for a while."""

    def __init__(self, publishing, following, cut):
        self.publishing = publishing
        self.following = following
        self.cut = cut


@pytest.fixture(params=["memory", "jetstream"])
async def ground(request, tmp_path):
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            first = MemoryStreamBridge(MemorySettings(max_events_per_run=100_000))
            bridges = [await stack.enter_async_context(each) for each in (first, first.peer())]

            async def cut():
                for bridge in bridges:
                    await bridge.close()
                await asyncio.sleep(0.02)
                for bridge in bridges:
                    await bridge.start()
        else:
            server = await stack.enter_async_context(EmbeddedServer(tmp_path / "nats"))
            nats = NatsSettings(url=server.url, user=server.user, password=server.password)
            made = [JetStreamBridge(BridgeSettings(nats=nats)) for _ in range(2)]
            bridges = [await stack.enter_async_context(each) for each in made]

            async def cut():
                await server.kill()
                await server.restart()

        yield Ground(*bridges, cut)


async def insist(call):
    """Call until it is answered, as a caller does who was told that he may."""
    while True:
        try:
            return await call()
        except (UnavailableError, BridgeClosedError):
            await asyncio.sleep(0.005)


async def publish_all(bridge, run_id, acknowledged):
    for number in range(EVENTS):
        data = f"{run_id}-{number}"
        acknowledged.append(
            await insist(lambda d=data: bridge.publish(run_id, "note", d, event_id=d))
        )
    await insist(lambda: bridge.publish_end(run_id))


async def follow(bridge, run_id):
    """Read to the end, and come back with the last id whenever the reading was cut off."""
    seen = []
    while True:
        try:
            after = seen[-1].id if seen else None
            async with bridge.subscribe(run_id, last_event_id=after) as items:
                async for item in items:
                    assert not isinstance(item, StreamGap)
                    if item is END:
                        return seen
                    if isinstance(item, StreamEvent):
                        seen.append(item)
                    elif item is CANCELLED:
                        break
        except (UnavailableError, BridgeClosedError):
            await asyncio.sleep(0.005)


async def cut_off(ground, progress):
    """Cut the bridges off, each time after some more has been acknowledged."""
    for number in range(OUTAGES):
        while len(progress) < EVENTS * (number + 1) // (OUTAGES + 1):  # noqa: ASYNC110 - it moves on
            await asyncio.sleep(0.001)
        await ground.cut()


async def test_an_outage_between_retries_loses_and_doubles_nothing(ground):
    """Wound: an outage of the broker lost events between retries."""
    run_ids = ["run-1", "run-2", "run-3"]
    acknowledged = {run_id: [] for run_id in run_ids}
    for run_id in run_ids:
        await ground.publishing.create(run_id, thread_id="thread-1")
    async with asyncio.timeout(2 * PATIENCE_S), asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(follow(ground.following, run_id)) for run_id in run_ids]
        for run_id in run_ids:
            tasks.create_task(publish_all(ground.publishing, run_id, acknowledged[run_id]))
        tasks.create_task(cut_off(ground, acknowledged["run-1"]))
    for run_id, reader in zip(run_ids, reading, strict=True):
        seen = reader.result()
        assert [event.id for event in seen[1:-1]] == acknowledged[run_id]
        assert notes_of(seen) == [f"{run_id}-{number}" for number in range(EVENTS)]
        stored = await insist(lambda run_id=run_id: read_all(ground.following, run_id))
        assert notes_of(stored) == notes_of(seen)


async def test_a_named_reader_handles_every_event_through_outages(ground):
    """Wound: an outage of the broker lost events between retries, of those who consume."""
    await ground.publishing.create("run-1", thread_id="thread-1")
    acknowledged, handled = [], set()

    async def consume():
        while len(handled) < EVENTS + 2:
            try:
                async with ground.following.consume(
                    "steady", ack_wait_s=1, max_deliver=None
                ) as deliveries:
                    while len(handled) < EVENTS + 2:
                        for delivery in await deliveries.fetch(10, wait_s=0.5):
                            await delivery.ack()
                            handled.add(delivery.event.run_seq)
            except (UnavailableError, BridgeClosedError):
                await asyncio.sleep(0.005)

    async with asyncio.timeout(2 * PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(consume())
        tasks.create_task(publish_all(ground.publishing, "run-1", acknowledged))
        tasks.create_task(cut_off(ground, acknowledged))
    assert handled == set(range(1, EVENTS + 3))


async def test_no_reader_leaves_a_durable_consumer_behind(ground):
    """Wound: leaked durable consumers."""
    bridge = ground.following
    await bridge.create("run-1", thread_id="thread-1")
    last = await bridge.publish("run-1", "note", 1)
    for after in (None, last, "1-1") * 20:
        async with bridge.subscribe("run-1", last_event_id=after):
            pass
    async with bridge.subscribe("run-1"), bridge.consume("named"):
        assert [info.name for info in await bridge.list_consumers()] == ["named"]
    await bridge.delete_consumer("named")
    assert await bridge.list_consumers() == []


async def test_idle_named_readers_use_hardly_any_processor(ground):
    """Wound: leaked durable consumers at 100 % CPU."""
    bridge = ground.following
    await bridge.create("run-1", thread_id="thread-1")
    await bridge.publish_many("run-1", [new_event("note", n) for n in range(5)])
    async with AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(bridge.consume(f"idle-{n}", start="new"))
            for n in range(8)
        ]
        used_s = time.process_time()
        found = await asyncio.gather(*(reader.fetch(1, wait_s=1.0) for reader in readers))
        used_s = time.process_time() - used_s
    assert found == [[]] * len(readers)
    assert used_s < 0.5  # one that spins takes the whole second
