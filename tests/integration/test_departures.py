"""Runs leave the log for the archive: with a real sink, and against creators and deletions."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge import (
    HEARTBEAT,
    BridgeSettings,
    JetStreamBridge,
    NatsSettings,
    RetentionSettings,
    RunRef,
    StreamEvent,
    StreamGap,
    StreamNotFoundError,
    StreamTerminatedError,
    new_event,
)
from bridge.retention.departure import Departure
from runs import AssistantCatalog, RunManager, RunsFacade, RunSpec, RunStatus
from store import ArchiveColdTier, ArchiveLayout, ArchiveSettings, JetStreamRunEventStore
from store.sink import Sink

RUN = RunRef("thread", "run")


@pytest.fixture
def connect(server, tmp_path):
    @asynccontextmanager
    async def connect(**limits):
        settings = BridgeSettings(
            nats=NatsSettings(url=server.url, user=server.user, password=server.password),
            retention=RetentionSettings(capacity_poll_s=0.05, **limits),
        )
        async with JetStreamBridge(settings, cold=ArchiveColdTier(tmp_path / "data")) as bridge:
            yield bridge

    return connect


@asynccontextmanager
async def sinking(bridge, root):
    stop = asyncio.Event()
    settings = ArchiveSettings(fetch_wait_s=0.05)
    task = asyncio.create_task(Sink(bridge, root, settings).run(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


def departure(bridge):
    return Departure(bridge._log, bridge.states, bridge._seals)


async def end_run(bridge, run=RUN):
    await bridge.create(run.run_id, thread_id=run.thread_id)
    await bridge.publish_many(run.run_id, [new_event("note", n) for n in range(5)])
    await bridge.publish_end(run.run_id)
    return (await bridge.status(run.run_id)).terminal


async def test_the_number_of_runs_is_bounded_and_all_are_read_and_deleted_as_before(
    connect, tmp_path, eventually
):
    async with connect(max_runs=6, sweep_interval_s=0.3) as bridge:
        facade = RunsFacade(RunManager(bridge, AssistantCatalog()), bridge)
        thread_id = (await facade.create_thread()).thread_id
        async with sinking(bridge, tmp_path / "data"):
            runs = []
            for _ in range(15):
                await eventually(lambda: bridge._room.has_room_for_run, within_s=20)
                run = await facade.create_background(
                    RunSpec(thread_id=thread_id, assistant_id="echo", input=1)
                )
                await bridge.publish(run.run_id, "note", 1)
                await bridge.publish_end(run.run_id)
                await facade.settle(thread_id, run.run_id)
                runs.append(run.run_id)
            await eventually(lambda: _is_bounded(bridge, 6), within_s=20)
            listed = await facade.list_runs(thread_id, limit=100)
            assert {each.run_id for each in listed} == set(runs)
            assert {each.status for each in listed} <= {RunStatus.SUCCESS, RunStatus.ERROR}
            for run_id in runs:
                async with bridge.subscribe(run_id) as items:
                    seen = [item.run_seq async for item in items if isinstance(item, StreamEvent)]
                assert seen == [1, 2, 3]
            store = JetStreamRunEventStore(bridge, tmp_path / "data")
            assert await store.delete_by_run(thread_id, runs[0]) == 3
            await facade.delete_thread(thread_id)
            await eventually(lambda: _all_erased(tmp_path / "data", thread_id))
            for run_id in runs:
                with pytest.raises(StreamNotFoundError):
                    await bridge.status(run_id)


async def _is_bounded(bridge, limit):
    return (await bridge.get_stats()).total_streams < limit


def _all_erased(root, thread_id):
    runs = list(ArchiveLayout(root).runs(thread_id))
    return all(b"note" not in ArchiveLayout(root).run(run).read_bytes() for run in runs)


async def test_a_creator_that_had_looked_before_does_not_revive_a_run(connect, monkeypatch):
    async with connect() as bridge, connect() as late:
        terminal = await end_run(bridge)
        look = late._seals.find
        looked = []

        async def look_and_be_slow(run):
            found = await look(run)
            if not looked:
                looked.append(run)
                await departure(bridge).remove(terminal)
            return found

        monkeypatch.setattr(late._seals, "find", look_and_be_slow)
        with pytest.raises(StreamTerminatedError):
            await late.create(RUN.run_id, thread_id=RUN.thread_id)
        assert (await bridge.get_stats()).total_streams == 0
        assert (await bridge.status(RUN.run_id)).terminal.id == terminal.id


async def test_a_run_that_is_deleted_while_it_leaves_stays_deleted_and_its_marker_stays(connect):
    async with connect() as bridge, connect() as other:
        terminal = await end_run(bridge)
        await other.cleanup(RUN.run_id)
        await departure(bridge).remove(terminal)
        assert (await bridge._log.run(RUN).find_last()).event == "deleted"
        assert await bridge._seals.find(RUN) is None
        with pytest.raises(StreamNotFoundError):
            await other.status(RUN.run_id)


async def test_a_publisher_that_was_slow_learns_of_the_end(connect):
    async with connect() as bridge, connect() as slow:
        await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
        await slow.publish(RUN.run_id, "note", 0)
        terminal_id = await bridge.publish_end(RUN.run_id)
        await departure(bridge).remove((await bridge.status(RUN.run_id)).terminal)
        with pytest.raises(StreamTerminatedError):
            await slow.publish(RUN.run_id, "note", 1)
        assert await slow.publish_end(RUN.run_id) == terminal_id
        assert (await bridge.get_stats()).total_streams == 0


async def test_a_run_leaves_twice_without_harm_and_a_crash_in_between_is_made_good(connect):
    async with connect() as bridge:
        terminal = await end_run(bridge)
        await bridge._seals.keep(terminal)
        assert (await bridge.status(RUN.run_id)).first_id.endswith("-1")
        with pytest.raises(StreamTerminatedError):
            await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
        for _ in range(2):
            await departure(bridge).remove(terminal)
        assert (await bridge.status(RUN.run_id)).first_id == terminal.id


async def test_a_reader_that_missed_the_departure_is_told_what_is_missing_and_the_end(connect):
    async with connect() as bridge:
        await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
        async with bridge.subscribe(RUN.run_id, heartbeat_interval=0.05) as items:
            await anext(items)
            bridge._tails._tails[RUN]._hand_out = lambda: None  # nothing live reaches it any more
            terminal = await end_run(bridge)
            await departure(bridge).remove(terminal)
            rest = [item async for item in items if item is not HEARTBEAT]
        gap, end, _ = rest
        assert isinstance(gap, StreamGap)
        assert (gap.missing, end.id) == (5, terminal.id)


async def test_a_thread_whose_name_is_a_kind_of_record_confuses_no_reader_of_the_state(connect):
    async with connect() as bridge:
        terminal = await end_run(bridge, RunRef("run", "r"))
        await departure(bridge).remove(terminal)
        changes = await bridge.state_feed.read(0)
        assert ("seal", "run.r") in {(change.kind, change.key) for change in changes}
        assert "run" not in {change.kind for change in changes}
        assert not await bridge.is_logged(RunRef("run", "r"))
