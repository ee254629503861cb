"""A full log pushes back, recovers by itself, and always has room for births and ends."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge import (
    BridgeSettings,
    EventTooLargeError,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    RetentionSettings,
    StreamCapacityExceededError,
    StreamNotFoundError,
    StreamStatus,
    new_event,
)
from bridge.room import soft_limit

MIB = 1 << 20
POLL_S = 0.05
LARGE = "x" * 10_000


@pytest.fixture
def connect(server):
    """Open a bridge to a log of ``max_bytes``: ``async with connect(...) as bridge``."""

    @asynccontextmanager
    async def connect(max_bytes=None, **limits):
        settings = BridgeSettings(
            nats=NatsSettings(url=server.url, user=server.user, password=server.password),
            log=LogSettings(max_bytes=max_bytes),
            retention=RetentionSettings(capacity_poll_s=POLL_S, **limits),
        )
        async with JetStreamBridge(settings) as bridge:
            yield bridge

    return connect


async def fill(bridge, run_id):
    """Publish until the log refuses; return how many events it took."""
    for count in range(10_000):
        try:
            await bridge.publish(run_id, "note", LARGE)
        except StreamCapacityExceededError:
            return count
    return pytest.fail("the log was never full")


@pytest.mark.parametrize(
    ("max_bytes", "limit"),
    [(MIB, 0.75 * MIB), (1024 * MIB, 960 * MIB), (10_240 * MIB, 9728 * MIB)],
)
def test_the_reserve_is_5_percent_or_64_mib_but_at_most_a_quarter(max_bytes, limit):
    assert soft_limit(max_bytes) == limit


async def test_a_full_log_takes_births_attempts_and_terminals_and_no_ordinary_event(connect):
    async with connect(2 * MIB) as bridge:
        await bridge.create("full", thread_id="t")
        assert await fill(bridge, "full") > 100
        for number in range(20):
            run_id = f"run-{number}"
            await bridge.create(run_id, thread_id="t")
            await bridge.begin_attempt(run_id, 2)
            for refused in (
                bridge.publish(run_id, "note", LARGE),
                bridge.publish_many(run_id, [new_event("note", LARGE)]),
            ):
                with pytest.raises(StreamCapacityExceededError):
                    await refused
            await bridge.publish_end(run_id)
        await bridge.publish_end("full")
        assert (await bridge.status("full")).status is StreamStatus.ENDED


async def test_all_processes_push_back_and_go_on_by_themselves_once_there_is_room(
    connect, eventually
):
    async with connect(2 * MIB) as bridge, connect(2 * MIB) as other:
        for run_id in ("a", "b"):
            await bridge.create(run_id, thread_id="t")
        await fill(bridge, "a")

        async def is_refused_elsewhere():
            try:
                await other.publish("b", "note", LARGE)
            except StreamCapacityExceededError:
                return True
            return False

        await eventually(is_refused_elsewhere)
        await bridge.publish_end("a")
        await bridge.cleanup("a")

        async def goes_on():
            return not await is_refused_elsewhere()

        await eventually(goes_on)
        await eventually(lambda: bridge.publish("b", "note", 1))


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
    async with connect(max_runs=3) as bridge:
        births = [await bridge.create(f"run-{n}", thread_id="t") for n in range(3)]
        with pytest.raises(StreamCapacityExceededError) as caught:
            await bridge.create("run-3", thread_id="t")
        assert "all 3 runs" in str(caught.value)
        assert await bridge.create("run-1", thread_id="t") == births[1]
        with pytest.raises(StreamNotFoundError):
            await bridge.status("run-3")
