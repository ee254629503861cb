import asyncio

import pytest
from reading import events_of, notes_of, read_all, run_seqs

from bridge import (
    RESERVED_EVENTS,
    BatchTooLargeError,
    EventTooLargeError,
    InvalidEventError,
    NewEvent,
    ReservedEventError,
    StreamTerminatedError,
    new_event,
)

JSON_VALUES = [
    None,
    True,
    0,
    -1.5,
    2**63,
    2**70,
    -(2**200),
    [2**64, {"deep": [2**65]}],
    "",
    "null",
    '\u0085\u2028\u2029\r\n\t\x00\\"',
    "\U0001f600 \u00e9",
    [],
    {},
    {"": {"a": [None, 1e300, "\u2028"]}},
]
NOT_JSON = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus infinity": [float("-inf")],
    "nan in depth": {"a": [{"b": float("nan")}]},
    "set": {1, 2},
    "object": object(),
    "bytes": b"x",
    "function in depth": {"a": [len]},
    "key that is no string": {1: "one"},
    "lone surrogate": "\ud800",
    "lone surrogate in a key": {"\udfff": 1},
}
BAD_NAMES = ["", " ", " a", "a ", "a\nb", "a\r", "a\x00", "\x85", "a\u2028b", "x" * 1025, None, 5]


async def emitted(bridge, run_id):
    """What the run holds, read once it is sealed."""
    await bridge.publish_end(run_id)
    return events_of(await read_all(bridge, run_id))


async def test_events_come_back_as_they_were_published(bridge, run):
    ids = [await bridge.publish(run, "note", value) for value in JSON_VALUES]
    events = (await emitted(bridge, run))[1:-1]
    assert [event.id for event in events] == ids
    assert [event.data for event in events] == JSON_VALUES
    assert [event.run_seq for event in events] == list(range(2, 2 + len(JSON_VALUES)))
    assert all(b"\n" not in event.payload for event in events)


async def test_name_category_and_metadata_travel_with_the_event(bridge, run):
    await bridge.publish(
        run,
        "messages|a:b/\u00e9",
        1,
        category="tr\u00e4ce",
        metadata={"k": ["\u00fc", None, 2**70]},
    )
    await bridge.publish(run, "note", 2)
    first, second = (await emitted(bridge, run))[1:-1]
    assert (first.event, first.category) == ("messages|a:b/\u00e9", "tr\u00e4ce")
    assert first.metadata == {"k": ["\u00fc", None, 2**70]}
    assert (second.category, second.metadata) == ("stream", None)


async def test_ids_of_one_run_grow(bridge, run):
    ids = [await bridge.publish(run, "note", n) for n in range(20)]
    places = [tuple(map(int, event_id.split("-"))) for event_id in ids]
    assert places == sorted(set(places))
    assert [run_seq for _, run_seq in places] == list(range(2, 22))


async def test_data_changed_after_the_call_changes_nothing(bridge, run):
    data = {"items": [1]}
    pending = asyncio.ensure_future(bridge.publish(run, "note", data))
    encoded = new_event("note", data)
    await asyncio.sleep(0)
    data["items"].append(2)
    await pending
    await bridge.publish_event(run, encoded)
    assert notes_of(await emitted(bridge, run)) == [{"items": [1]}] * 2


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
async def test_data_that_is_not_json_is_refused_and_nothing_stored(bridge, run, value):
    with pytest.raises(InvalidEventError) as caught:
        await bridge.publish(run, "note", value)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(InvalidEventError):
        await bridge.publish(run, "note", 1, metadata={"bad": value})
    with pytest.raises(InvalidEventError):
        await bridge.publish_terminal(run, "error", value)
    assert (await bridge.status(run)).event_count == 1


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
async def test_a_reserved_name_is_refused_and_nothing_stored(bridge, run, name):
    with pytest.raises(ReservedEventError):
        await bridge.publish(run, name, None)
    smuggled = NewEvent(name, b"null")
    with pytest.raises(ReservedEventError):
        await bridge.publish_event(run, smuggled)
    with pytest.raises(ReservedEventError):
        await bridge.publish_many(run, [new_event("note", 1), smuggled])
    assert (await bridge.status(run)).event_count == 1


@pytest.mark.parametrize("bad", BAD_NAMES)
async def test_a_name_that_could_break_a_frame_is_refused_and_nothing_stored(bridge, run, bad):
    with pytest.raises(InvalidEventError):
        await bridge.publish(run, bad, 1)
    with pytest.raises(InvalidEventError):
        await bridge.publish(run, "note", 1, category=bad)
    if bad is not None:
        with pytest.raises(InvalidEventError):
            await bridge.publish(run, "note", 1, event_id=bad)
    assert (await bridge.status(run)).event_count == 1


async def test_an_event_above_the_limit_is_refused_with_both_sizes(bridge, run):
    size = 9 << 20
    with pytest.raises(EventTooLargeError) as caught:
        await bridge.publish(run, "note", "x" * size)
    assert caught.value.limit_bytes < size <= caught.value.size_bytes
    with pytest.raises(EventTooLargeError):
        await bridge.publish_terminal(run, "error", "x" * size)
    assert (await bridge.status(run)).event_count == 1
    await bridge.publish(run, "note", "x" * (7 << 20))
    assert (await bridge.status(run)).event_count == 2


async def test_a_batch_with_an_event_above_the_limit_stores_nothing(bridge, run):
    with pytest.raises(EventTooLargeError):
        await bridge.publish_many(
            run, [new_event("note", 1), new_event("note", "x" * (9 << 20)), new_event("note", 2)]
        )
    assert (await bridge.status(run)).event_count == 1


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
async def test_a_batch_is_stored_in_order(bridge, run, count):
    ids = await bridge.publish_many(run, (new_event("note", n) for n in range(count)))
    events = (await emitted(bridge, run))[1:-1]
    assert [event.id for event in events] == ids
    assert [event.data for event in events] == list(range(count))
    assert [event.run_seq for event in events] == list(range(2, count + 2))


async def test_a_batch_beyond_1000_is_refused_and_nothing_stored(bridge, run):
    with pytest.raises(BatchTooLargeError) as caught:
        await bridge.publish_many(run, [new_event("note", n) for n in range(1001)])
    assert (caught.value.size, caught.value.limit) == (1001, 1000)
    assert (await bridge.status(run)).event_count == 1


async def test_a_batch_takes_no_event_ids(bridge, run):
    with pytest.raises(InvalidEventError):
        await bridge.publish_many(run, [new_event("note", 1), new_event("note", 2, event_id="x")])
    assert (await bridge.status(run)).event_count == 1


async def test_an_event_id_is_stored_once(bridge, run, connect):
    other = await connect()
    first = await bridge.publish(run, "note", 1, event_id="order-7")
    await bridge.publish(run, "note", 2)
    repeats = [await b.publish(run, "note", 1, event_id="order-7") for b in (bridge, other, bridge)]
    assert repeats == [first] * 3
    await bridge.publish(run, "note", 3, event_id="order-8")
    events = await emitted(bridge, run)
    assert notes_of(events) == [1, 2, 3]
    assert run_seqs(events) == [1, 2, 3, 4, 5]


async def test_repeats_of_an_event_id_at_once_store_one_event(bridge, run, connect):
    bridges = [bridge, await connect(), await connect()]
    ids = await asyncio.gather(
        *(b.publish(run, "note", 1, event_id="order-7") for b in bridges * 4)
    )
    assert len(set(ids)) == 1
    assert (await bridge.status(run)).event_count == 2


async def test_event_ids_of_different_runs_do_not_meet(bridge, run):
    await bridge.create("run-2", thread_id="thread-1")
    first = await bridge.publish(run, "note", 1, event_id="order-7")
    second = await bridge.publish("run-2", "note", 2, event_id="order-7")
    assert first != second
    assert notes_of(await emitted(bridge, "run-2")) == [2]


async def test_concurrent_publishers_leave_no_hole(bridge, run, connect):
    bridges = [bridge, await connect(), await connect()]

    async def publisher(number):
        return [
            await bridges[number % 3].publish(run, "note", [number, step]) for step in range(40)
        ]

    ids = await asyncio.gather(*map(publisher, range(6)))
    events = (await emitted(bridge, run))[1:-1]
    assert [event.run_seq for event in events] == list(range(2, 242))
    by_id = {event.id: event.data for event in events}
    for number, mine in enumerate(ids):
        assert [by_id[event_id] for event_id in mine] == [[number, step] for step in range(40)]


async def test_batches_and_single_events_interleave_without_splitting_a_batch(bridge, run, connect):
    other = await connect()

    async def batches():
        for batch in range(10):
            await other.publish_many(run, [new_event("note", [batch, n]) for n in range(30)])

    async def singles():
        for n in range(100):
            await bridge.publish(run, "single", n)

    await asyncio.gather(batches(), singles())
    events = (await emitted(bridge, run))[1:-1]
    assert [event.data for event in events if event.event == "single"] == list(range(100))
    starts = [at for at, event in enumerate(events) if event.event == "note" and event.data[1] == 0]
    assert len(starts) == 10
    for at in starts:
        batch = events[at].data[0]
        assert [event.data for event in events[at : at + 30]] == [[batch, n] for n in range(30)]


async def test_a_burst_without_delay_keeps_its_order(bridge, run):
    ids = await asyncio.gather(*(bridge.publish(run, "note", n) for n in range(2000)))
    events = (await emitted(bridge, run))[1:-1]
    assert [event.data for event in events] == list(range(2000))
    assert [event.id for event in events] == ids


async def test_a_cancelled_publisher_does_not_lose_what_others_published(bridge, run):
    tasks = [asyncio.create_task(bridge.publish(run, "note", n)) for n in range(200)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    events = (await emitted(bridge, run))[1:-1]
    by_id = {event.id: event.data for event in events}
    assert [by_id[outcomes[n]] for n in range(200) if n % 3] == [n for n in range(200) if n % 3]
    numbers = [event.data for event in events]
    assert numbers == sorted(set(numbers))


async def test_runs_do_not_mix(bridge):
    for number in range(5):
        await bridge.create(f"run-{number}", thread_id=f"thread-{number % 2}")
    await asyncio.gather(
        *(bridge.publish(f"run-{n % 5}", "note", n) for n in range(100)),
    )
    for number in range(5):
        events = await emitted(bridge, f"run-{number}")
        assert notes_of(events) == list(range(number, 100, 5))
        assert run_seqs(events) == list(range(1, 23))


async def test_nothing_follows_the_end(bridge, run, connect):
    other = await connect()
    await other.publish(run, "note", 1)
    terminal = await bridge.publish_end(run)
    for one in (bridge, other):
        with pytest.raises(StreamTerminatedError):
            await one.publish(run, "note", 2)
        with pytest.raises(StreamTerminatedError):
            await one.publish_many(run, [new_event("note", 3), new_event("note", 4)])
    info = await bridge.status(run)
    assert (info.last_id, info.event_count) == (terminal, 3)
