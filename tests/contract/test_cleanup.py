import asyncio

import pytest
from reading import enter, notes_of, read_all, take

from bridge import (
    CANCELLED,
    END,
    HEARTBEAT,
    BridgeClosedError,
    StreamEvent,
    StreamGap,
    StreamNotFoundError,
    StreamTerminatedError,
    new_event,
)

LATE_CALLS = {
    "create": lambda bridge, run_id: bridge.create(run_id, thread_id="thread-1"),
    "publish": lambda bridge, run_id: bridge.publish(run_id, "note", 1),
    "publish once": lambda bridge, run_id: bridge.publish(run_id, "note", 1, event_id="step-1"),
    "publish_many": lambda bridge, run_id: bridge.publish_many(run_id, [new_event("note", 1)]),
    "publish_end": lambda bridge, run_id: bridge.publish_end(run_id),
    "begin_attempt": lambda bridge, run_id: bridge.begin_attempt(run_id, 2),
}


@pytest.mark.parametrize("call", LATE_CALLS.values(), ids=LATE_CALLS)
@pytest.mark.parametrize("is_ended", [False, True], ids=["live", "ended"])
async def test_a_publish_after_cleanup_does_not_revive_the_run(
    bridge, run, connect, call, is_ended
):
    """Wound: a publish after cleanup revived the run."""
    writer, stranger = await connect(), await connect()
    await writer.publish(run, "note", 0, event_id="step-1")
    if is_ended:
        await writer.publish_end(run)
    await bridge.cleanup(run)
    for one in (writer, bridge, stranger):
        with pytest.raises(StreamTerminatedError):
            await call(one, run)
        with pytest.raises(StreamNotFoundError):
            await one.status(run)
        with pytest.raises(StreamNotFoundError):
            await enter(one, run)


async def test_a_run_that_was_cleaned_up_cannot_be_read_from_any_cursor(bridge, run, connect):
    last = await bridge.publish(run, "note", 1)
    await bridge.cleanup(run)
    sequence, run_seq = (int(part) for part in last.split("-"))
    for cursor in (last, f"{sequence + 1}-{run_seq + 1}", "-1", "yesterday"):
        for one in (bridge, await connect()):
            with pytest.raises(StreamNotFoundError):
                await enter(one, run, cursor)


async def test_cleanup_before_drain_ends_readers_without_a_false_cancel(bridge, run, connect):
    """Wound: cleanup before drain turned the end into a false cancel."""
    other = await connect()
    async with other.subscribe(run) as stream, bridge.subscribe(run) as local:
        await bridge.publish(run, "note", 1)
        await bridge.publish_end(run)
        head = await take(stream, 3)
        await bridge.cleanup(run)
        async with asyncio.timeout(10):
            tail = [item async for item in stream if item is not HEARTBEAT]
            near = [item async for item in local if item is not HEARTBEAT]
    assert [event.event for event in head] == ["metadata", "note", "end"]
    assert tail == [END]
    assert near[-1] is END
    assert CANCELLED not in near


async def test_readers_of_a_live_run_get_what_was_there_and_then_the_end(bridge, run, connect):
    other = await connect()
    async with other.subscribe(run) as stream:
        await bridge.publish_many(run, [new_event("note", n) for n in range(30)])
        items = await take(stream, 31)
        await bridge.cleanup(run)
        async with asyncio.timeout(10):
            items += [item async for item in stream if item is not HEARTBEAT]
    assert notes_of(items) == list(range(30))
    assert items[-1] is END
    assert [item for item in items if isinstance(item, StreamEvent)] == items[:-1]


async def test_a_reader_that_had_not_read_everything_gets_it_or_is_told_how_much_is_missing(
    bridge, run
):
    await bridge.publish_many(run, [new_event("note", n) for n in range(900)])
    async with bridge.subscribe(run) as stream:
        items = await take(stream, 5)
        await bridge.cleanup(run)
        async with asyncio.timeout(10):
            items += [item async for item in stream if item is not HEARTBEAT]
    got = len([item for item in items if isinstance(item, StreamEvent)])
    missing = sum(item.missing for item in items if isinstance(item, StreamGap))
    assert got + missing == 901
    assert items[-1] is END


async def test_cleaning_up_twice_changes_nothing_and_an_unknown_run_is_an_error(
    bridge, run, connect
):
    other = await connect()
    await asyncio.gather(*(one.cleanup(run) for one in (bridge, other) * 3))
    await other.cleanup(run)
    with pytest.raises(StreamNotFoundError):
        await bridge.cleanup("nobody")
    await bridge.create("nobody", thread_id="thread-1")


async def test_of_publishers_that_race_cleanup_none_is_answered_and_lost_behind_it(
    bridge, run, connect
):
    other = await connect()
    outcomes = await asyncio.gather(
        *(other.publish(run, "note", n) for n in range(40)),
        bridge.cleanup(run),
        *(other.publish(run, "note", n) for n in range(40)),
        return_exceptions=True,
    )
    assert outcomes.pop(40) is None
    assert all(isinstance(each, str | StreamTerminatedError) for each in outcomes)
    with pytest.raises(StreamTerminatedError):
        await other.publish(run, "note", 1)


async def test_other_runs_of_the_thread_are_left_alone(bridge, run):
    await bridge.create("run-2", thread_id="thread-1")
    await bridge.cleanup(run)
    await bridge.publish("run-2", "note", 2)
    await bridge.publish_end("run-2")
    assert notes_of(await read_all(bridge, "run-2")) == [2]


async def test_a_delayed_cleanup_waits_and_can_be_called_off(bridge, run):
    waiting = asyncio.create_task(bridge.cleanup(run, delay=60))
    soon = asyncio.create_task(bridge.cleanup(run, delay=0.05))
    await asyncio.sleep(0)
    await bridge.publish(run, "note", 1)
    waiting.cancel()
    await soon
    with pytest.raises(StreamNotFoundError):
        await bridge.status(run)


async def test_a_delayed_cleanup_of_a_bridge_that_closed_keeps_the_run(make_bridge):
    bridge = make_bridge()
    async with bridge:
        await bridge.create("run-1", thread_id="thread-1")
        soon = asyncio.create_task(bridge.cleanup("run-1", delay=0.05))
        await asyncio.sleep(0)
    with pytest.raises(BridgeClosedError):
        await soon
    async with make_bridge() as other:
        assert (await other.status("run-1")).event_count == 1


async def test_a_run_awaits_input_until_its_next_event(bridge, run, connect):
    other = await connect()
    assert not (await bridge.status(run)).awaiting_input
    await other.mark_awaiting_input(run)
    await bridge.mark_awaiting_input(run)
    assert (await bridge.status(run)).awaiting_input
    await bridge.publish(run, "note", "answer")
    assert not (await other.status(run)).awaiting_input
    await bridge.mark_awaiting_input(run)
    assert (await other.status(run)).awaiting_input
    await bridge.publish_end(run)
    await bridge.mark_awaiting_input(run)
    assert not (await other.status(run)).awaiting_input


async def test_marking_what_is_no_run_changes_nothing(bridge, run):
    await bridge.mark_awaiting_input("nobody")
    with pytest.raises(StreamNotFoundError):
        await bridge.status("nobody")
    await bridge.cleanup(run)
    await bridge.mark_awaiting_input(run)
    with pytest.raises(StreamNotFoundError):
        await bridge.status(run)


async def test_stats_count_runs_events_bytes_and_readers(bridge, connect):
    assert (await bridge.get_stats()).total_streams == 0
    for run_id in ("a", "b", "c", "d"):
        await bridge.create(run_id, thread_id=f"thread-{run_id}")
    await bridge.publish("a", "note", "\u00e9")
    await bridge.publish_end("b")
    await bridge.publish_end("c")
    await bridge.cleanup("d")
    infos = [await bridge.status(run_id) for run_id in "abc"]
    other = await connect()
    async with bridge.subscribe("a"), bridge.subscribe("c"):
        stats = await bridge.get_stats()
        assert (await other.get_stats()).total_subscribers == 0
    assert (stats.total_streams, stats.active_streams, stats.terminal_streams) == (3, 1, 2)
    assert stats.total_events == sum(info.event_count for info in infos) == 6
    assert stats.total_bytes == sum(info.total_bytes for info in infos)
    assert (stats.total_subscribers, stats.closed) == (2, False)


async def test_a_closed_bridge_knows_no_numbers_and_says_so(make_bridge):
    bridge = make_bridge()
    assert (await bridge.get_stats()).closed
    async with bridge:
        await bridge.create("a", thread_id="t")
        assert not (await bridge.get_stats()).closed
    stats = await bridge.get_stats()
    assert (stats.closed, stats.total_streams) == (True, 0)
