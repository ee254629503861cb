"""Wounds that users of comparable systems suffered from: each one has a test, on both bridges.

The tests are here where no other one shows just this, and else where this list says. Of what a
gateway adds, the tests are over HTTP.

Subscribing to an unknown run makes a ghost stream
    test_creating.py:
        test_a_run_nobody_created_is_refused_and_asking_creates_nothing
Cleanup before drain turns the end into a cancel
    test_cleanup.py:
        test_cleanup_before_drain_ends_readers_without_a_false_cancel
The end is dropped when a buffer is full
    here:
        test_the_end_reaches_a_reader_whose_buffer_is_full
Ids from a clock repeat within a millisecond
    here:
        test_events_of_one_moment_have_ids_of_their_own
An old cursor replays in part, silently
    test_cursors.py:
        test_a_trimmed_cursor_is_told_how_many_events_are_missing
A foreign cursor replays everything twice
    test_cursors.py:
        test_a_cursor_that_cannot_be_this_runs_is_unknown
An oversized event evicts the log and itself
    here:
        test_an_oversized_event_evicts_nothing
An ordinary event named "end" ends the stream
    here:
        test_no_ordinary_event_ends_a_run_whatever_its_name
Ten minutes of silence dead-letter a run that is inside one long tool call
    test_sweeps.py:
        test_silence_inside_one_long_tool_call_does_not_end_a_held_run
A live run is cut at 24 h
    here:
        test_no_event_leaves_because_of_its_age
    test_sweeps.py:
        test_a_live_run_is_never_cut_for_its_age
A publish after cleanup revives the run
    test_departed_runs.py:
        test_nothing_revives_a_run_that_left
    test_cleanup.py:
        test_a_publish_after_cleanup_does_not_revive_the_run
Memory is bounded in characters
    here:
        test_bytes_are_counted_not_characters
    ../unit/test_memory.py:
        test_a_run_is_bounded_in_bytes_not_in_characters
The count starts anew after a restart
    here:
        test_ids_go_on_after_a_restart
Reconnecting with another filter loses events
    here:
        test_a_cursor_from_a_filtered_view_loses_nothing_of_the_rest
Rejoining a finished run hangs
    test_following.py:
        test_rejoining_a_finished_run_at_its_end_ends_at_once
A race between history and live loses or doubles
    test_following.py:
        test_readers_that_join_during_a_burst_get_every_event_once
    ../chaos/test_join_leave.py:
        test_readers_that_come_and_go_account_for_every_event
"caught up" is said too early
    here:
        test_no_heartbeat_comes_before_what_was_stored
An outage of the broker loses events between retries
    test_outages.py:
        test_an_outage_between_retries_loses_and_doubles_nothing
    test_outages.py:
        test_a_named_reader_handles_every_event_through_outages
    ../chaos/test_server_kills.py:
        test_every_acknowledged_event_is_delivered_once_whatever_the_server_does
    ../integration/test_ambiguity.py:
        test_a_publish_without_an_answer_is_stored_once
Durable consumers leak
    test_outages.py:
        test_no_reader_leaves_a_durable_consumer_behind
    test_outages.py:
        test_idle_named_readers_use_hardly_any_processor
    test_consumer_limits.py:
        test_leaked_durable_consumers_a_name_that_nobody_uses_is_removed
    ../integration/test_readers.py:
        test_a_thousand_readers_of_one_run_make_no_consumer
A limit answers 429 and kills an EventSource
    ../integration/test_sse_wire.py:
        test_too_many_streams_are_refused_before_a_run_is_made_and_told_in_band_after
A slow client loses events silently
    test_following.py:
        test_a_slow_reader_loses_nothing_and_blocks_nobody
    ../integration/test_stalled_reader.py:
        test_a_stalled_reader_disturbs_nobody_and_gets_everything_when_it_reads_again
"""

import asyncio

import pytest
from proofs import assert_proofs_exist
from reading import PATIENCE_S, events_of, notes_of, read_all, run_seqs, take

from bridge import (
    END,
    HEARTBEAT,
    BridgeSettings,
    EventTooLargeError,
    LogSettings,
    StreamStatus,
    new_event,
)
from bridge.topology import streams


def test_every_wound_names_tests_that_exist():
    assert_proofs_exist(__doc__, __file__, at_least=21)


async def test_the_end_reaches_a_reader_whose_buffer_is_full(bridge, run):
    async with bridge.subscribe(run) as stream:
        await take(stream, 1)
        for start in range(0, 5000, 500):
            await bridge.publish_many(run, [new_event("note", start + n) for n in range(500)])
        await bridge.publish_end(run)
        async with asyncio.timeout(PATIENCE_S):
            items = [item async for item in stream if item is not HEARTBEAT]
    assert items[-1] is END
    assert run_seqs(items) == list(range(2, 5003))


async def test_events_of_one_moment_have_ids_of_their_own(bridge, run):
    moment = new_event("note", 1)
    ids = await bridge.publish_many(run, [moment] * 1000)
    ids += await asyncio.gather(*(bridge.publish_event(run, moment) for _ in range(200)))
    events = events_of(await read_all(bridge, await ended(bridge, run)))[1:-1]
    assert {event.created_at for event in events} == {moment.created_at}
    assert [event.id for event in events] == ids
    places = [tuple(map(int, event_id.split("-"))) for event_id in ids]
    assert places == sorted(set(places))


async def test_an_oversized_event_evicts_nothing(bridge, run):
    kept = [await bridge.publish(run, "note", n) for n in range(3)]
    with pytest.raises(EventTooLargeError):
        await bridge.publish(run, "note", "x" * (9 << 20))
    kept.append(await bridge.publish(run, "note", 3))
    events = events_of(await read_all(bridge, await ended(bridge, run)))
    assert [event.id for event in events[1:-1]] == kept


@pytest.mark.parametrize("name", ["End", "END", "ended", "end.", "finish", "done", "cancelled"])
async def test_no_ordinary_event_ends_a_run_whatever_its_name(bridge, run, name):
    await bridge.publish(run, name, {"type": "end", "event": "end"})
    assert (await bridge.status(run)).status is StreamStatus.ACTIVE
    await bridge.publish(run, "note", "after")
    items = await read_all(bridge, await ended(bridge, run))
    assert [event.event for event in events_of(items)] == ["metadata", name, "note", "end"]


@pytest.mark.parametrize("profile", ["archive", "cache"])
def test_no_event_leaves_because_of_its_age(profile):
    """Neither the log nor the memory bridge has an age; what has one is a run's end."""
    wanted = streams(BridgeSettings(log=LogSettings(profile=profile)))
    log = next(stream for stream in wanted if stream["name"] == "JETRUN_EVENTS")
    assert not log.get("max_age")


async def test_bytes_are_counted_not_characters(bridge, run):
    before = (await bridge.status(run)).total_bytes
    await bridge.publish(run, "note", "\u20ac\U0001f600" * 100)
    assert (await bridge.status(run)).total_bytes == before + 2 + 700


async def test_ids_go_on_after_a_restart(make_bridge):
    ids = []
    for _ in range(3):
        async with make_bridge() as bridge:
            await bridge.create("run-1", thread_id="thread-1")
            ids += [await bridge.publish("run-1", "note", n) for n in range(3)]
    places = [tuple(map(int, event_id.split("-"))) for event_id in ids]
    assert places == sorted(set(places))
    assert [run_seq for _, run_seq in places] == list(range(2, 11))


async def test_a_cursor_from_a_filtered_view_loses_nothing_of_the_rest(bridge, run):
    """A client that was shown only some events resumes with the last of them, and asks for all."""
    for n in range(10):
        await bridge.publish(run, "shown" if n % 3 == 0 else "note", n)
    async with bridge.subscribe(run) as stream:
        items = await take(stream, 6)
    last_shown = next(item for item in reversed(items) if item.event == "shown")
    assert last_shown.data == 3
    rest = await read_all(bridge, await ended(bridge, run), after=last_shown.id)
    assert [event.data for event in events_of(rest)[:-1]] == list(range(4, 10))
    assert notes_of(rest) == [4, 5, 7, 8]


async def test_no_heartbeat_comes_before_what_was_stored(bridge, run, connect):
    """A sign of idleness means that everything acknowledged before joining has been handed out."""
    other, seen = await connect(), []
    await bridge.publish_many(run, [new_event("note", n) for n in range(1000)])
    async with asyncio.timeout(PATIENCE_S), other.subscribe(run, heartbeat_interval=1) as stream:
        while (item := await anext(stream)) is not HEARTBEAT:
            seen.append(item)
    assert run_seqs(seen) == list(range(1, 1002))


async def ended(bridge, run):
    """End a run, and return its id."""
    await bridge.publish_end(run)
    return run
