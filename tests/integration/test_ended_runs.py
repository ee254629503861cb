"""Events of ended runs leave the log in time; live runs, and runs that are read, stay."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge import (
    BridgeSettings,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    RetentionSettings,
    StreamEvent,
    new_event,
)
from store import ArchiveSettings
from store.sink import Sink

AT_ONCE = {"terminal_ttl_s": 0.01, "orphan_timeout_s": 0.01, "sweep_interval_s": 0.1}


class Floor:
    def __init__(self, run_seq):
        self.run_seq = run_seq

    async def archived_run_seq(self, _):
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
            yield bridge

    return connect


async def make_run(bridge, run_id, *, outputs=False):
    await bridge.create(run_id, thread_id=f"thread-of-{run_id}")
    await bridge.publish_many(run_id, [new_event("note", n) for n in range(20)])
    place = await bridge.publish(run_id, "values", {"sum": 7}, category="outputs")
    await bridge.publish_terminal(run_id, "end", {"outputs": place if outputs else None})
    return place


async def held(bridge, run_id):
    info = await bridge.status(run_id)
    return info.event_count - int(info.first_id.split("-")[1]) + 1


def has_left(bridge, *run_ids, keeping=1):
    async def condition():
        return [await held(bridge, run_id) for run_id in run_ids] == [keeping] * len(run_ids)

    return condition


@pytest.fixture
def rounds(eventually):
    """Wait for some rounds to pass, by a run of its own that leaves in each."""

    async def rounds(bridge):
        for number in range(3):
            run_id = f"round-{number}"
            await make_run(bridge, run_id)
            await eventually(has_left(bridge, run_id))

    return rounds


async def test_what_is_not_archived_stays_and_leaves_once_it_is(connect, eventually):
    async with connect(**AT_ONCE) as bridge:
        floor = Floor(22)
        async with bridge.retention.letting_go(floor):
            await make_run(bridge, "run")
            await asyncio.sleep(0.3)
            assert await held(bridge, "run") == 23
            floor.run_seq = 23
            await eventually(has_left(bridge, "run"))


async def test_a_reader_under_way_in_another_process_postpones_until_it_leaves(
    connect, rounds, eventually
):
    async with connect(**AT_ONCE) as bridge, connect(**AT_ONCE) as other:
        await make_run(bridge, "read")
        async with other.follow("read") as following:
            async with bridge.retention.letting_go(None):
                await rounds(bridge)
                assert await held(bridge, "read") == 23
            items = [item async for batch in following.batches() for item in batch]
            assert len([item for item in items if isinstance(item, StreamEvent)]) == 23
        async with bridge.retention.letting_go(None):
            await eventually(has_left(bridge, "read"))


async def test_a_run_that_was_just_read_waits_for_its_ttl_and_an_unread_one_does_not(
    connect, eventually
):
    limits = {"terminal_ttl_s": 3600, "orphan_timeout_s": 0.05, "sweep_interval_s": 0.1}
    async with connect(**limits) as bridge, bridge.retention.letting_go(None):
        await make_run(bridge, "unread")
        await eventually(has_left(bridge, "unread"))
    limits["orphan_timeout_s"] = 3600
    async with connect(**limits) as bridge, bridge.retention.letting_go(None):
        await make_run(bridge, "young")
        await asyncio.sleep(0.3)
        assert await held(bridge, "young") == 23


async def test_runs_of_all_shards_are_found_however_many(connect, eventually):
    async with connect(**AT_ONCE) as bridge, bridge.retention.letting_go(None):
        run_ids = [f"run-{n}" for n in range(150)]
        await asyncio.gather(*(make_run(bridge, run_id) for run_id in run_ids))
        await eventually(has_left(bridge, *run_ids), within_s=20)


async def test_the_sink_lets_go_what_its_files_hold(connect, tmp_path, eventually):
    async with connect(**AT_ONCE) as bridge:
        stop = asyncio.Event()
        sink = asyncio.create_task(Sink(bridge, tmp_path, ArchiveSettings()).run(stop))
        run_ids = [f"run-{n}" for n in range(10)]
        for run_id in run_ids:
            await make_run(bridge, run_id)
        await eventually(has_left(bridge, *run_ids))
        stop.set()
        await sink
        for run_id in run_ids:
            file = tmp_path / "threads" / f"thread-of-{run_id}" / "runs" / f"{run_id}.jsonl"
            assert len(file.read_bytes().splitlines()) == 23
