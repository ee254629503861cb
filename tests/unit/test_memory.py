"""What only the memory bridge does: eviction, leaving runs, limits; the rest is the contract's."""

import asyncio

import pytest

from bridge.errors import (
    EventTooLargeError,
    StreamCapacityExceededError,
    StreamNotFoundError,
    StreamTerminatedError,
)
from bridge.events import END, GapReason, StreamEvent, StreamGap, StreamStatus, new_event
from bridge.memory import MemorySettings, MemoryStreamBridge, run_log


@pytest.fixture
def make_bridge():
    """Make an open bridge with small limits: ``make_bridge(max_runs=3)``."""

    async def make_bridge(**limits):
        bridge = MemoryStreamBridge(MemorySettings(**limits))
        await bridge.start()
        return bridge

    return make_bridge


async def read_all(bridge, run_id, after=None):
    async with asyncio.timeout(10), bridge.subscribe(run_id, last_event_id=after) as stream:
        return [item async for item in stream]


async def test_only_the_newest_events_of_a_run_are_kept(make_bridge):
    bridge = await make_bridge(max_events_per_run=5)
    birth = await bridge.create("run-1", thread_id="t")
    for n in range(20):
        await bridge.publish("run-1", "note", n)
    await bridge.publish_end("run-1")
    gap, *events, end = await read_all(bridge, "run-1", birth)
    assert (gap.reason, gap.missing) == (GapReason.EVICTED, 16)
    assert [event.run_seq for event in events] == [18, 19, 20, 21, 22]
    assert end is END
    info = await bridge.status("run-1")
    assert (info.event_count, info.first_id) == (22, events[0].id)


async def test_a_run_is_bounded_in_bytes_not_in_characters(make_bridge):
    bridge = await make_bridge(max_bytes_per_run=1000)
    await bridge.create("run-1", thread_id="t")
    for _ in range(20):
        await bridge.publish("run-1", "note", "\u00e9" * 99)
    info = await bridge.status("run-1")
    kept = [event for event in await _retained(bridge) if event.event == "note"]
    assert sum(len(event.payload) for event in kept) == 1000
    assert info.event_count == 21


async def _retained(bridge):
    await bridge.close()
    async with bridge.peer() as other, other.follow("run-1") as following:
        return list(await anext(following.batches()))


async def test_metadata_counts_as_bytes(make_bridge):
    bridge = await make_bridge(max_bytes_per_run=1000)
    await bridge.create("run-1", thread_id="t")
    with pytest.raises(EventTooLargeError):
        await bridge.publish("run-1", "note", 1, metadata={"m": "x" * 1000})
    for _ in range(3):
        await bridge.publish("run-1", "note", 1, metadata={"m": "x" * 400})
    assert len(await _retained(bridge)) == 2


async def test_an_event_above_the_runs_limit_is_refused_and_evicts_nothing(make_bridge):
    bridge = await make_bridge(max_bytes_per_run=1000, max_event_bytes=5000)
    await bridge.create("run-1", thread_id="t")
    with pytest.raises(EventTooLargeError) as caught:
        await bridge.publish("run-1", "note", "x" * 2000)
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (2002, 1000)
    assert (await bridge.status("run-1")).first_id == "1-1"


async def test_a_batch_above_the_runs_limit_keeps_its_newest_events(make_bridge):
    bridge = await make_bridge(max_events_per_run=10)
    await bridge.create("run-1", thread_id="t")
    ids = await bridge.publish_many("run-1", [new_event("note", n) for n in range(1000)])
    info = await bridge.status("run-1")
    assert (info.first_id, info.last_id) == (ids[-10], ids[-1])


async def test_the_run_that_ended_first_leaves_first(make_bridge):
    bridge = await make_bridge(max_runs=3)
    for run_id in ("a", "b", "c"):
        await bridge.create(run_id, thread_id="t")
    await bridge.publish_end("b")
    await bridge.publish_end("a")
    await bridge.create("d", thread_id="t")
    await bridge.create("e", thread_id="t")
    assert list(bridge._log._runs) == ["c", "d", "e"]
    assert len(bridge._log._events) == 3


async def test_when_all_runs_are_active_no_further_one_is_created(make_bridge):
    bridge = await make_bridge(max_runs=2)
    await bridge.create("a", thread_id="t")
    await bridge.create("b", thread_id="t")
    with pytest.raises(StreamCapacityExceededError) as caught:
        await bridge.create("c", thread_id="t")
    assert "all 2 runs are active" in str(caught.value)
    await bridge.create("a", thread_id="t")
    await bridge.publish_end("a")
    await bridge.create("c", thread_id="t")


async def test_a_run_that_has_left_cannot_come_back(make_bridge):
    bridge = await make_bridge(max_runs=1)
    await bridge.create("a", thread_id="t")
    await bridge.publish_end("a")
    calls = [
        lambda: bridge.create("a", thread_id="t"),
        lambda: bridge.publish("a", "note", 1),
        lambda: bridge.publish_many("a", [new_event("note", 1)]),
        lambda: bridge.begin_attempt("a", 2),
    ]
    for run_id in ("b", "c"):  # what is remembered of "a" becomes less
        await bridge.create(run_id, thread_id="t")
        for call in calls:
            with pytest.raises(StreamTerminatedError):
                await call()
        await bridge.publish_end(run_id)
    with pytest.raises(StreamNotFoundError):
        await read_all(bridge, "a")


async def test_what_is_remembered_of_runs_that_left_is_bounded(make_bridge):
    bridge = await make_bridge(max_runs=2)
    for n in range(50):
        await bridge.create(f"run-{n}", thread_id="t")
        await bridge.publish_end(f"run-{n}")
    assert len(bridge._log._departed) == 2
    assert len(bridge._log._sealed) == 2
    assert len(bridge._log._runs) == 2


async def test_a_reader_of_a_run_that_leaves_gets_what_was_there_and_the_end(make_bridge):
    bridge = await make_bridge(max_runs=1)
    await bridge.create("a", thread_id="t")
    async with bridge.subscribe("a") as stream:
        await bridge.publish("a", "note", 1)
        await bridge.publish_end("a")
        await bridge.create("b", thread_id="t")
        items = [item async for item in stream]
    assert [event.event for event in items[:-1]] == ["metadata", "note", "end"]
    assert items[-1] is END


async def test_a_reader_slower_than_eviction_is_told_exactly_what_it_missed(make_bridge):
    bridge = await make_bridge(max_events_per_run=10)
    await bridge.create("run-1", thread_id="t")
    seen = missing = 0
    async with bridge.subscribe("run-1") as stream:
        for round_ in range(1, 6):
            for n in range(7 * round_):
                await bridge.publish("run-1", "note", n)
            for _ in range(3):
                item = await anext(stream)
                missing += item.missing if isinstance(item, StreamGap) else 0
                seen += isinstance(item, StreamEvent)
        await bridge.publish_end("run-1")
        async for item in stream:
            missing += item.missing if isinstance(item, StreamGap) else 0
            seen += isinstance(item, StreamEvent)
    assert missing > 0
    assert seen + missing == (await bridge.status("run-1")).event_count


async def test_a_burst_does_not_starve_a_reader(make_bridge):
    bridge = await make_bridge(max_events_per_run=10)
    await bridge.create("run-1", thread_id="t")
    reading = asyncio.create_task(read_all(bridge, "run-1"))
    await asyncio.sleep(0)
    for n in range(2000):
        await bridge.publish("run-1", "note", n)
    await bridge.publish_end("run-1")
    items = await reading
    assert [event.run_seq for event in items[:-1]] == list(range(1, 2003))


async def test_event_ids_are_remembered_for_a_bounded_window(make_bridge, monkeypatch):
    bridge = await make_bridge(max_event_ids_per_run=3)
    await bridge.create("run-1", thread_id="t")
    first = await bridge.publish("run-1", "note", 0, event_id="id-0")
    for n in range(1, 3):
        await bridge.publish("run-1", "note", n, event_id=f"id-{n}")
    assert await bridge.publish("run-1", "note", 0, event_id="id-0") == first
    await bridge.publish("run-1", "note", 3, event_id="id-3")
    again = await bridge.publish("run-1", "note", 0, event_id="id-0")
    assert again != first
    monkeypatch.setattr(run_log, "IDEMPOTENCE_S", -1.0)
    assert await bridge.publish("run-1", "note", 0, event_id="id-0") != again


async def test_what_was_stored_is_there_after_closing_and_starting_again(make_bridge):
    bridge = await make_bridge()
    await bridge.create("run-1", thread_id="t")
    await bridge.close()
    await bridge.start()
    assert (await bridge.status("run-1")).event_count == 1
    await bridge.publish_end("run-1")
    assert len(await read_all(bridge, "run-1")) == 3


LARGE = "x" * 1000


async def fill(bridge, run_id):
    """Publish until the log refuses; how many events it took."""
    for number in range(10_000):
        try:
            await bridge.publish(run_id, "note", LARGE)
        except StreamCapacityExceededError:
            return number
    pytest.fail("the log was never full")


async def test_by_the_policy_reject_no_run_leaves_for_a_new_one(make_bridge):
    bridge = await make_bridge(max_runs=2, max_runs_policy="reject")
    for run_id in ("a", "b"):
        await bridge.create(run_id, thread_id="t")
    await bridge.publish_end("a")
    with pytest.raises(StreamCapacityExceededError):
        await bridge.create("c", thread_id="t")
    assert (await bridge.status("a")).event_count == 2
    await bridge.cleanup("a")
    await bridge.create("c", thread_id="t")


async def test_a_full_log_takes_births_attempts_and_ends_and_no_ordinary_event(make_bridge):
    bridge = await make_bridge(max_bytes=100_000, max_events_per_run=10_000)
    await bridge.create("full", thread_id="t")
    assert await fill(bridge, "full") == 74  # a quarter is reserved
    for number in range(20):
        await bridge.create(f"run-{number}", thread_id="t")
        await bridge.begin_attempt(f"run-{number}", 2)
        for refused in (
            bridge.publish(f"run-{number}", "note", LARGE),
            bridge.publish_many(f"run-{number}", [new_event("note", LARGE)]),
        ):
            with pytest.raises(StreamCapacityExceededError):
                await refused
    await bridge.publish_end("full")
    with pytest.raises(EventTooLargeError):
        await bridge.publish("run-0", "note", "x" * 80_000)


async def test_ended_runs_make_room_first_by_their_events_and_then_altogether(make_bridge):
    bridge = await make_bridge(max_bytes=100_000, max_events_per_run=10_000)
    for run_id in ("old", "read", "live"):
        await bridge.create(run_id, thread_id="t")
        await bridge.publish_many(run_id, [new_event("note", LARGE)] * 20)
    outputs = await bridge.publish("old", "values", LARGE, category="outputs")
    await bridge.publish_terminal("old", "end", {"outputs": outputs})
    await bridge.publish_end("read")
    async with bridge.subscribe("read") as stream:
        await anext(stream)
        assert await fill(bridge, "live") >= 30
        assert (await bridge.status("read")).first_id.endswith("-1")
        assert list(bridge._log._sealed) == ["old"]  # its final values were in the way as well
    assert await fill(bridge, "live") >= 19
    assert (await bridge.status("read")).status is StreamStatus.ENDED
    held = sum(len(event.payload) for event in bridge._log._events.values())
    assert bridge._log._bytes == held


async def test_the_count_of_bytes_survives_everything_that_takes_events_away(make_bridge):
    bridge = await make_bridge(max_runs=3, max_events_per_run=5, max_bytes=50_000)
    for number in range(40):
        run_id = f"run-{number}"
        await bridge.create(run_id, thread_id="t")
        await bridge.publish_many(run_id, [new_event("note", "x" * number)] * 8)
        if number % 4 == 0:
            await bridge.trim(run_id, keep=2)
        if number % 5 == 0:
            await bridge.cleanup(run_id)
        else:
            await bridge.publish_end(run_id)
        held = sum(len(event.payload) for event in bridge._log._events.values())
        assert bridge._log._bytes == held
