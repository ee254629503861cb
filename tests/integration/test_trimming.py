"""Growing runs are cut back to their limits, and nothing leaves that the archive does not hold."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge import (
    END,
    BridgeSettings,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    RetentionSettings,
    RunRef,
    StreamEvent,
    StreamFencedError,
    StreamGap,
    new_event,
)
from bridge.retention.trimming import Mark, Marks
from store import ArchiveReader, ArchiveSettings
from store.sink import Sink

RUN = RunRef("thread", "run")


class Floor:
    """An archive that has come as far as it is told."""

    def __init__(self):
        self.run_seq = 0

    async def archived_run_seq(self, run):
        assert run == RUN
        return self.run_seq


@pytest.fixture
def connect(server):
    @asynccontextmanager
    async def connect(profile="archive", **limits):
        settings = BridgeSettings(
            nats=NatsSettings(url=server.url, user=server.user, password=server.password),
            log=LogSettings(profile=profile),
            retention=RetentionSettings(**limits),
        )
        async with JetStreamBridge(settings) as bridge:
            await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
            yield bridge

    return connect


async def first_run_seq(bridge):
    return int((await bridge.status(RUN.run_id)).first_id.split("-")[1])


async def publish(bridge, count, data=0):
    for start in range(0, count, 500):
        batch = [new_event("note", data)] * min(500, count - start)
        await bridge.publish_many(RUN.run_id, batch)


@pytest.mark.parametrize("step", [1, 3, 50])
@pytest.mark.parametrize(("max_events", "max_bytes"), [(100, 10**9), (10**9, 1000), (7, 35)])
def test_a_run_is_cut_back_to_its_limits_and_never_below(max_events, max_bytes, step):
    marks, first, cuts = Marks(max_events, max_bytes), 1, 0
    for run_seq in range(1, 5000, step):
        marks.add(Mark(run_seq * 2, run_seq, run_seq * 10))
        cut = marks.find_cut()
        if cut is not None:
            marks.forget(cut)
            first, cuts = cut.run_seq, cuts + 1
        kept = run_seq - first + 1
        limit = min(max_events, -(-max_bytes // 10))
        assert kept <= limit + max(1, limit // 10) + 2 * step
        assert first == 1 or kept > limit
        assert len(marks._marks) <= 25
    assert cuts > 10


async def test_what_is_not_archived_stays_whatever_the_limits_say(connect):
    async with connect(max_events_per_run=50) as bridge:
        floor = Floor()
        trimmer = bridge.retention.trimmer(floor)
        await publish(bridge, 299)
        events = await bridge.read_after(RUN, 0)
        await trimmer.note(events[:1])
        await trimmer.note(events[:200])
        assert await first_run_seq(bridge) == 1
        for count in range(0, 300, 7):
            floor.run_seq = count
            await trimmer.note(events[: max(1, count)])
            assert await first_run_seq(bridge) <= count + 1
        floor.run_seq = 300
        await trimmer.note(events)
        assert 230 < await first_run_seq(bridge) <= 251


async def test_the_sink_cuts_a_growing_run_and_the_archive_has_all_of_it(
    connect, tmp_path, eventually
):
    async with connect(max_events_per_run=200) as bridge:
        stop = asyncio.Event()
        sink = asyncio.create_task(Sink(bridge, tmp_path, ArchiveSettings()).run(stop))
        for number in range(40):
            await publish(bridge, 100, number)

        async def is_cut():
            return await first_run_seq(bridge) > 3001

        await eventually(is_cut)
        await bridge.publish_end(RUN.run_id)
        last = await bridge.status(RUN.run_id)
        assert last.event_count - await first_run_seq(bridge) + 1 >= 200
        async with asyncio.timeout(10), bridge.subscribe(RUN.run_id, last_event_id="1-1") as items:
            read = [item async for item in items]
        stop.set()
        await sink
    # The sink may cut on under the reader: each cut is told, and all of them add up.
    missing = sum(item.missing for item in read if isinstance(item, StreamGap))
    assert isinstance(read[0], StreamGap)
    assert missing + sum(isinstance(item, StreamEvent) for item in read) == 4001
    assert read[-1] is END
    records = [record.run_seq for record in ArchiveReader(tmp_path).read_run(RUN)]
    assert records == list(range(1, 4003))


async def test_the_cache_profile_bounds_a_run_in_events_and_in_bytes(connect):
    """Wound: memory bounded in characters, not bytes."""
    limits = {"max_events_per_run": 1000, "max_bytes_per_run": 20_000}
    async with connect("cache", **limits) as bridge:
        await publish(bridge, 5000)
        assert await first_run_seq(bridge) == 4002
        for _ in range(60):
            await bridge.publish(RUN.run_id, "note", "\u00e9" * 499)
        held = await bridge.read_after(RUN, 0, limit=500)
        size = sum(len(event.payload) for event in held)
        assert 20_000 <= size <= 23_000
        async with bridge.subscribe(RUN.run_id) as items:
            assert isinstance(await anext(items), StreamEvent)


async def test_an_attempt_that_missed_trimmed_events_cannot_know_and_stops(connect):
    """A later attempt may have begun among them, so it is taken for fenced."""
    async with connect() as worker, connect() as service:
        await worker.begin_attempt(RUN.run_id, 2)
        await worker.publish(RUN.run_id, "note", 0)
        await publish(service, 30)
        await service.trim(RUN.run_id, keep=10)
        with pytest.raises(StreamFencedError) as caught:
            await worker.publish(RUN.run_id, "note", 1)
        assert caught.value.successor is None
        assert (await service.status(RUN.run_id)).event_count == 33
        await worker.begin_attempt(RUN.run_id, 3)
        await worker.publish(RUN.run_id, "note", 1)


async def test_an_attempt_that_missed_trimmed_events_of_an_ended_run_is_told_of_the_end(connect):
    async with connect() as worker, connect() as service:
        await worker.begin_attempt(RUN.run_id, 2)
        await publish(service, 30)
        terminal = await service.publish_end(RUN.run_id)
        await service.trim(RUN.run_id, keep=1)
        assert await worker.publish_end(RUN.run_id) == terminal
