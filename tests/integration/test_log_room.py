"""A full log pushes back, recovers by itself, and always has room for births and ends."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge import (
    END,
    HEARTBEAT,
    BridgeSettings,
    EmbeddedServer,
    EventTooLargeError,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    RetentionSettings,
    RunRef,
    StreamCapacityExceededError,
    StreamNotFoundError,
    StreamStatus,
    StreamTerminatedError,
    new_event,
)
from bridge.retention.room import soft_limit
from bridge.server.config import EmbeddedServerSettings

MIB = 1 << 20
POLL_S = 0.05
LARGE = "x" * 10_000
LARGER = "x" * 100_000


@pytest.fixture
def connect(server):
    """Open a bridge to a log of ``max_bytes``: ``async with connect(...) as bridge``."""

    @asynccontextmanager
    async def connect(max_bytes=None, profile="archive", **limits):
        settings = BridgeSettings(
            nats=NatsSettings(url=server.url, user=server.user, password=server.password),
            log=LogSettings(max_bytes=max_bytes, profile=profile),
            retention=RetentionSettings(capacity_poll_s=POLL_S, **limits),
        )
        async with JetStreamBridge(settings) as bridge:
            yield bridge

    return connect


async def fill(bridge, run_id):
    """Publish until the log refuses."""
    for _ in range(10_000):
        try:
            await bridge.publish(run_id, "note", LARGE)
        except StreamCapacityExceededError:
            return
    pytest.fail("the log was never full")


@pytest.mark.parametrize(
    ("max_bytes", "limit"),
    [(MIB, 0.75 * MIB), (1024 * MIB, 960 * MIB), (10_240 * MIB, 9728 * MIB)],
)
def test_the_reserve_is_5_percent_or_64_mib_but_at_most_a_quarter(max_bytes, limit):
    assert soft_limit(max_bytes) == limit


async def test_a_full_log_takes_births_attempts_and_terminals_and_no_ordinary_event(connect):
    async with connect(2 * MIB) as bridge:
        await bridge.create("full", thread_id="t")
        await fill(bridge, "full")
        for number in range(20):
            run_id = f"run-{number}"
            await bridge.create(run_id, thread_id="t")
            await bridge.begin_attempt(run_id, 2)
            for refused in (
                bridge.publish(run_id, "note", LARGER),
                bridge.publish_many(run_id, [new_event("note", LARGER)]),
            ):
                with pytest.raises(StreamCapacityExceededError):
                    await refused
            await bridge.publish_end(run_id)
        await bridge.publish_end("full")
        assert (await bridge.status("full")).status is StreamStatus.ENDED


@pytest.mark.parametrize("profile", ["archive", "cache"])
async def test_without_a_size_that_was_set_a_full_server_has_room_for_births_and_ends_too(
    tmp_path, profile
):
    limits = EmbeddedServerSettings(max_file_store_bytes=12 * MIB)
    async with EmbeddedServer(tmp_path / "small", limits) as small:
        settings = BridgeSettings(
            nats=NatsSettings(url=small.url, user=small.user, password=small.password),
            log=LogSettings(profile=profile, max_dead_letter_bytes=MIB),
            retention=RetentionSettings(capacity_poll_s=POLL_S),
        )
        async with JetStreamBridge(settings) as bridge:
            await bridge.create("full", thread_id="t")
            await fill(bridge, "full")
            for number in range(200):
                run_id = f"run-{number}"
                await bridge.create(run_id, thread_id="t")
                with pytest.raises(StreamCapacityExceededError):
                    await bridge.publish(run_id, "note", LARGER)
                await bridge.states.create("run", run_id, b"x" * 2000)
                await bridge.publish_end(run_id)
            await bridge.publish_end("full")


async def test_all_processes_push_back_and_go_on_by_themselves_once_there_is_room(
    connect, eventually
):
    async with connect(2 * MIB) as bridge, connect(2 * MIB) as other:
        for run_id in ("a", "b"):
            await bridge.create(run_id, thread_id="t")
        await fill(bridge, "a")

        async def is_refused_elsewhere():
            return not await _is_published(other, "b")

        await eventually(is_refused_elsewhere)
        await bridge.publish_end("a")
        await bridge.cleanup("a")
        for one in (other, bridge):  # each sees it by its own next look
            await eventually(lambda one=one: _is_published(one, "b"))


async def test_many_publishers_at_once_leave_the_reserve_alone(connect):
    async with connect(4 * MIB) as bridge:
        for number in range(8):
            await bridge.create(f"run-{number}", thread_id="t")
        outcomes = await asyncio.gather(
            *(bridge.publish(f"run-{n % 8}", "note", "x" * 50_000) for n in range(200)),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if not isinstance(each, str)]
        assert refused
        assert all(isinstance(each, StreamCapacityExceededError) for each in refused)
        for number in range(8):
            await bridge.publish_end(f"run-{number}")


async def test_an_event_that_never_fits_is_too_large_not_too_early(connect):
    async with connect(MIB) as bridge:
        await bridge.create("run", thread_id="t")
        with pytest.raises(EventTooLargeError):
            await bridge.publish("run", "note", "x" * MIB)


async def test_one_event_above_the_runs_limit_is_refused_and_evicts_nothing(connect):
    """Wound: an oversized event evicted the whole log and itself."""
    async with connect(max_bytes_per_run=5000) as bridge:
        await bridge.create("run", thread_id="t")
        await bridge.publish("run", "note", 1)
        with pytest.raises(EventTooLargeError) as caught:
            await bridge.publish("run", "note", "x" * 6000)
        assert (caught.value.size_bytes, caught.value.limit_bytes) == (6002, 5000)
        info = await bridge.status("run")
        assert (info.event_count, info.first_id[-2:]) == (2, "-1")


async def test_a_run_beyond_the_limit_is_refused_and_known_ones_are_not(connect):
    async with connect(max_runs=3, max_runs_policy="reject") as bridge:
        births = [await bridge.create(f"run-{n}", thread_id="t") for n in range(3)]
        with pytest.raises(StreamCapacityExceededError) as caught:
            await bridge.create("run-3", thread_id="t")
        assert "all 3 runs" in str(caught.value)
        assert await bridge.create("run-1", thread_id="t") == births[1]
        with pytest.raises(StreamNotFoundError):
            await bridge.status("run-3")


@asynccontextmanager
async def ended_runs(bridge, count, data=0):
    run_ids = [f"old-{n}" for n in range(count)]
    for run_id in run_ids:
        await bridge.create(run_id, thread_id=f"t-{run_id}")
        await bridge.publish(run_id, "note", data)
        await bridge.publish_end(run_id)
    yield run_ids


async def is_held(bridge, run_id):
    return any([run_id in [each.run_id for each in page] async for page in bridge.newest_events()])


@pytest.mark.parametrize("profile", ["archive", "cache"])
async def test_runs_that_ended_first_leave_first_for_new_ones(connect, eventually, profile):
    async with connect(profile=profile, max_runs=10, sweep_interval_s=0.5) as bridge:
        await bridge.create("live", thread_id="t")
        async with ended_runs(bridge, 9) as run_ids, bridge.retention.letting_go(None):
            await eventually(lambda: _has_left(bridge, run_ids[0]))
            assert [await is_held(bridge, run_id) for run_id in run_ids[1:]] == [True] * 8
            for number in range(5):
                await eventually(lambda n=number: _is_created(bridge, f"new-{n}"))
            assert await is_held(bridge, "live")
            await eventually(lambda: _has_left(bridge, run_ids[4]))
            assert await is_held(bridge, run_ids[8])
            for one in ("old-0", "old-1"):
                with pytest.raises(StreamTerminatedError):
                    await bridge.create(one, thread_id=f"t-{one}")
                with pytest.raises(StreamTerminatedError):
                    await bridge.publish(one, "note", "late")


async def _has_left(bridge, run_id):
    return not await is_held(bridge, run_id)


async def _is_created(bridge, run_id):
    try:
        await bridge.create(run_id, thread_id="t")
    except StreamCapacityExceededError:
        return False
    return True


async def test_ended_runs_that_are_read_or_not_archived_do_not_leave_for_new_ones(
    connect, eventually
):
    class Floor:
        async def archived_run_seq(self, run):
            return 0 if run.run_id == "old-1" else 3

    async with (
        connect(max_runs=4, sweep_interval_s=0.5) as bridge,
        ended_runs(bridge, 4) as run_ids,
        bridge.follow("old-0"),
        bridge.retention.letting_go(Floor()),
    ):
        await eventually(lambda: _has_left(bridge, "old-2"))
        assert [await is_held(bridge, each) for each in run_ids] == [True, True, False, True]


async def test_by_the_policy_reject_nothing_leaves_for_new_runs(connect):
    limits = {"max_runs": 3, "max_runs_policy": "reject", "sweep_interval_s": 0.1}
    async with connect(**limits) as bridge, ended_runs(bridge, 3) as run_ids:
        async with bridge.retention.letting_go(None):
            await asyncio.sleep(0.3)
            assert not await _is_created(bridge, "new")
        assert all([await is_held(bridge, run_id) for run_id in run_ids])


async def test_ended_runs_make_room_in_a_full_log_before_their_time(connect, eventually):
    async with connect(2 * MIB, sweep_interval_s=0.5) as bridge:
        await bridge.create("live", thread_id="t")
        async with ended_runs(bridge, 14, "x" * 100_000) as run_ids:
            await fill(bridge, "live")
            async with bridge.retention.letting_go(None):
                await eventually(lambda: _is_published(bridge, "live"))
            info = await bridge.status(run_ids[0])
            assert (info.status, info.first_id) == (StreamStatus.ENDED, info.last_id)


async def test_room_is_what_has_left_and_not_what_a_run_that_was_cut_had_emitted(connect):
    async with connect(2 * MIB) as bridge:
        await bridge.create("live", thread_id="t")
        for number in range(14):
            run_id = f"old-{number}"
            await bridge.create(run_id, thread_id="t")
            await bridge.publish_terminal(run_id, "error", {"message": "x" * 100_000})
        await fill(bridge, "live")
        # All that can leave at first is what stands before those ends: nearly nothing.
        relieving = asyncio.create_task(bridge.retention._overflow(None).relieve())
        while not relieving.done():
            assert not await _is_published(bridge, "live")
            await asyncio.sleep(0)
        await relieving
        assert (await bridge.status("old-13")).first_id.endswith("-2")


async def test_runs_leave_altogether_when_what_is_left_of_them_fills_the_log(connect, eventually):
    async with connect(2 * MIB, sweep_interval_s=0.5) as bridge:
        await bridge.create("live", thread_id="t")
        for number in range(14):
            run_id = f"old-{number}"
            await bridge.create(run_id, thread_id="t")
            await bridge.publish_terminal(run_id, "error", {"message": "x" * 100_000})
        await fill(bridge, "live")
        async with bridge.retention.letting_go(None):
            await eventually(lambda: _is_published(bridge, "live"), within_s=20)
        assert not await is_held(bridge, "old-0")
        assert (await bridge.status("old-0")).status is StreamStatus.ERRORED


async def _is_published(bridge, run_id):
    try:
        await bridge.publish(run_id, "note", "x" * 50_000)
    except StreamCapacityExceededError:
        return False
    return True


async def test_a_run_that_left_altogether_ends_a_reader_that_was_cut_off(connect):
    async with connect() as bridge:
        await bridge.create("b", thread_id="t")
        run_log = bridge._log.run(RunRef("t", "b"))
        async with bridge.follow("b", heartbeat_interval=0.05) as reader:
            batches = reader.batches()
            await anext(batches)
            await run_log.purge()
            items = [item async for batch in batches for item in batch if item is not HEARTBEAT]
        gap, end = items
        assert (gap.reason, gap.missing, gap.latest_available_event_id) == ("unknown", None, None)
        assert end is END
