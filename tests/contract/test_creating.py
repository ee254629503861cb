import asyncio

import pytest
from reading import enter, events_of, read_all

from bridge import (
    BridgeClosedError,
    ConflictError,
    InvalidIdError,
    StreamFencedError,
    StreamNotFoundError,
    StreamStatus,
    StreamTerminatedError,
    new_event,
)

CALLS = {
    "publish": lambda bridge, run_id: bridge.publish(run_id, "note", 1),
    "publish_event": lambda bridge, run_id: bridge.publish_event(run_id, new_event("note", 1)),
    "publish_many": lambda bridge, run_id: bridge.publish_many(run_id, [new_event("note", 1)]),
    "publish_terminal": lambda bridge, run_id: bridge.publish_terminal(run_id, "end"),
    "publish_end": lambda bridge, run_id: bridge.publish_end(run_id),
    "cancel": lambda bridge, run_id: bridge.cancel(run_id),
    "begin_attempt": lambda bridge, run_id: bridge.begin_attempt(run_id, 2),
    "status": lambda bridge, run_id: bridge.status(run_id),
    "follow": enter,
    "follow from a cursor": lambda bridge, run_id: enter(bridge, run_id, "7-3"),
}
CREATE = {"create": lambda bridge, run_id: bridge.create(run_id, thread_id="thread-1")}

BAD_IDS = ["", " ", "a b", "a.b", "a\n", "*", ">", "x" * 65, "\u00fc", "../a", None, 7, b"run"]


async def test_a_run_is_born_with_one_event_that_names_it(bridge):
    birth = await bridge.create("run-1", thread_id="thread-1")
    await bridge.publish_end("run-1")
    first = events_of(await read_all(bridge, "run-1"))[0]
    assert first.id == birth
    assert (first.event, first.run_seq) == ("metadata", 1)
    assert first.data == {"run_id": "run-1", "thread_id": "thread-1", "attempt": 1}
    assert (first.run_id, first.thread_id) == ("run-1", "thread-1")


async def test_creating_a_run_again_changes_nothing(bridge, connect):
    other = await connect()
    birth = await bridge.create("run-1", thread_id="thread-1")
    await bridge.publish("run-1", "note", 1)
    again = [await b.create("run-1", thread_id="thread-1") for b in (bridge, other)]
    assert again == [birth, birth]
    assert (await bridge.status("run-1")).event_count == 2


async def test_creating_a_run_that_has_ended_changes_nothing(bridge, run):
    birth = (await bridge.status(run)).first_id
    terminal = await bridge.publish_end(run)
    assert await bridge.create(run, thread_id="thread-1") == birth
    assert (await bridge.status(run)).last_id == terminal


async def test_many_creators_at_once_make_one_run(bridge, connect):
    bridges = [bridge, await connect(), await connect()]
    births = await asyncio.gather(*(b.create("run-1", thread_id="t") for b in bridges * 5))
    assert len(set(births)) == 1
    assert (await bridge.status("run-1")).event_count == 1


async def test_a_run_id_belongs_to_the_first_thread_that_uses_it(bridge, connect):
    await bridge.create("run-1", thread_id="mine")
    for one in (bridge, await connect()):
        with pytest.raises(ConflictError) as caught:
            await one.create("run-1", thread_id="yours")
        assert "mine" not in str(caught.value)
    info = await bridge.status("run-1")
    assert (info.thread_id, info.event_count) == ("mine", 1)


async def test_of_creators_under_different_threads_one_wins(bridge, connect):
    bridges = [bridge, await connect(), await connect(), await connect()]
    outcomes = await asyncio.gather(
        *(b.create("run-1", thread_id=f"thread-{i}") for i, b in enumerate(bridges)),
        return_exceptions=True,
    )
    assert sorted(isinstance(outcome, ConflictError) for outcome in outcomes) == [False] + 3 * [
        True
    ]
    info = await bridge.status("run-1")
    winner = int(info.thread_id.removeprefix("thread-"))
    assert (outcomes[winner], info.event_count) == (info.first_id, 1)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_run_nobody_created_is_refused_and_asking_creates_nothing(bridge, call):
    for _ in range(2):
        with pytest.raises(StreamNotFoundError):
            await call(bridge, "nobody")
    birth = await bridge.create("nobody", thread_id="thread-1")
    info = await bridge.status("nobody")
    assert (info.first_id, info.last_id, info.event_count) == (birth, birth, 1)


@pytest.mark.parametrize("call", (CALLS | CREATE).values(), ids=CALLS | CREATE)
async def test_an_id_that_is_no_subject_token_is_refused(bridge, call):
    for bad in BAD_IDS:
        with pytest.raises(InvalidIdError):
            await call(bridge, bad)


async def test_a_thread_id_that_is_no_subject_token_is_refused_and_nothing_stored(bridge):
    for bad in BAD_IDS:
        with pytest.raises(InvalidIdError):
            await bridge.create("run-1", thread_id=bad)
    with pytest.raises(StreamNotFoundError):
        await bridge.status("run-1")


@pytest.mark.parametrize("call", (CALLS | CREATE).values(), ids=CALLS | CREATE)
async def test_a_bridge_that_is_not_open_refuses_every_call(make_bridge, call):
    bridge = make_bridge()
    with pytest.raises(BridgeClosedError):
        await call(bridge, "run-1")
    async with bridge:
        await bridge.create("run-1", thread_id="thread-1")
    with pytest.raises(BridgeClosedError):
        await call(bridge, "run-1")


async def test_status_counts_events_and_bytes(bridge, run):
    fresh = await bridge.status(run)
    last = await bridge.publish(run, "note", "\u00e9\u00e9")
    info = await bridge.status(run)
    assert (info.run_id, info.thread_id) == (run, "thread-1")
    assert (info.status, info.terminal) == (StreamStatus.ACTIVE, None)
    assert (info.first_id, info.last_id, info.event_count) == (fresh.first_id, last, 2)
    assert info.total_bytes - fresh.total_bytes == len('"\u00e9\u00e9"'.encode())
    assert fresh.created_at == info.created_at <= info.updated_at


async def test_status_counts_trimmed_events_as_emitted(bridge, run):
    ids = await bridge.publish_many(run, [new_event("note", n) for n in range(9)])
    before = await bridge.status(run)
    await bridge.trim(run, keep=3)
    info = await bridge.status(run)
    assert (info.event_count, info.total_bytes) == (before.event_count, before.total_bytes)
    assert (info.first_id, info.last_id) == (ids[-3], ids[-1])


async def test_status_counts_the_readers_of_this_bridge(bridge, run, eventually):
    async with bridge.subscribe(run), bridge.subscribe(run):
        assert (await bridge.status(run)).subscribers == 2

    async def nobody_reads():
        return (await bridge.status(run)).subscribers == 0

    await eventually(nobody_reads)


@pytest.mark.parametrize("keep", [0, -1])
async def test_trimming_leaves_at_least_one_event(bridge, run, keep):
    with pytest.raises(ValueError, match="keep"):
        await bridge.trim(run, keep=keep)
    assert (await bridge.status(run)).event_count == 1


async def test_an_attempt_is_announced_in_the_run(bridge, run):
    assert await bridge.begin_attempt(run, 1) == (await bridge.status(run)).first_id
    begun = await bridge.begin_attempt(run, 2)
    await bridge.publish(run, "note", "second try")
    await bridge.publish_end(run)
    events = events_of(await read_all(bridge, run))
    assert [event.event for event in events] == ["metadata", "metadata", "note", "end"]
    assert (events[1].id, events[1].data) == (
        begun,
        {"run_id": run, "thread_id": "thread-1", "attempt": 2},
    )


async def test_a_later_attempt_fences_off_an_earlier_one(bridge, run, connect):
    zombie, successor = await connect(), await connect()
    await zombie.begin_attempt(run, 1)
    await zombie.publish(run, "note", "first")
    await successor.begin_attempt(run, 2)
    refused = [
        lambda: zombie.publish(run, "note", "late"),
        lambda: zombie.publish_many(run, [new_event("note", "late"), new_event("note", "later")]),
        lambda: zombie.publish_end(run),
    ]
    for call in refused:
        with pytest.raises(StreamFencedError) as caught:
            await call()
        assert (caught.value.attempt, caught.value.successor) == (1, 2)
    await successor.publish(run, "note", "second")
    await successor.publish_end(run)
    notes = [
        event.data for event in events_of(await read_all(bridge, run)) if event.event == "note"
    ]
    assert notes == ["first", "second"]


async def test_a_fenced_attempt_stays_fenced_after_the_end(bridge, run, connect):
    successor = await connect()
    await bridge.begin_attempt(run, 1)
    await bridge.publish(run, "note", 1, event_id="order-7")
    await successor.begin_attempt(run, 2)
    terminal = await successor.publish_end(run)
    for call in (
        lambda: bridge.publish(run, "note", 2),
        lambda: bridge.publish(run, "note", 1, event_id="order-7"),
        lambda: bridge.publish_end(run),
    ):
        with pytest.raises(StreamFencedError):
            await call()
    assert (await bridge.status(run)).last_id == terminal


async def test_a_service_that_began_no_attempt_is_never_fenced(bridge, run, connect):
    worker = await connect()
    await bridge.publish(run, "note", "before")
    await worker.begin_attempt(run, 2)
    await bridge.publish(run, "note", "after")
    await bridge.cancel(run)
    assert (await bridge.status(run)).status is StreamStatus.CANCELLED


async def test_an_attempt_that_has_begun_elsewhere_is_refused(bridge, run, connect):
    await (await connect()).begin_attempt(run, 3)
    for attempt in (1, 2, 3):
        with pytest.raises(StreamFencedError) as caught:
            await bridge.begin_attempt(run, attempt)
        assert caught.value.successor == 3
    assert (await bridge.status(run)).event_count == 2


async def test_of_two_that_begin_the_same_attempt_at_once_one_is_fenced(bridge, run, connect):
    both = [bridge, await connect()]
    outcomes = await asyncio.gather(
        *(b.begin_attempt(run, 2) for b in both), return_exceptions=True
    )
    assert sorted(isinstance(outcome, StreamFencedError) for outcome in outcomes) == [False, True]
    assert (await bridge.status(run)).event_count == 2


async def test_beginning_an_attempt_again_on_the_same_bridge_changes_nothing(bridge, run):
    begun = await bridge.begin_attempt(run, 2)
    await bridge.publish(run, "note", 1)
    assert await bridge.begin_attempt(run, 2) == begun
    assert (await bridge.status(run)).event_count == 3


async def test_a_bridge_that_was_fenced_can_begin_a_later_attempt(bridge, run, connect):
    successor = await connect()
    await bridge.begin_attempt(run, 1)
    await successor.begin_attempt(run, 2)
    with pytest.raises(StreamFencedError):
        await bridge.publish(run, "note", "late")
    await bridge.begin_attempt(run, 3)
    await bridge.publish(run, "note", "third")
    with pytest.raises(StreamFencedError):
        await successor.publish(run, "note", "late")
    assert (await bridge.status(run)).event_count == 4


async def test_one_that_lost_an_attempt_to_another_cannot_take_it_by_trying_again(
    bridge, run, connect
):
    both = [bridge, await connect()]
    outcomes = await asyncio.gather(
        *(b.begin_attempt(run, 2) for b in both), return_exceptions=True
    )
    loser = both[isinstance(outcomes[0], str)]
    for _ in range(2):
        with pytest.raises(StreamFencedError):
            await loser.begin_attempt(run, 2)
    assert (await bridge.status(run)).event_count == 2


async def test_of_many_that_begin_attempts_at_once_the_latest_alone_goes_on(bridge, run, connect):
    bridges = [bridge, *[await connect() for _ in range(3)]]
    outcomes = await asyncio.gather(
        *(b.begin_attempt(run, 2 + at // 2) for at, b in enumerate(bridges)),
        return_exceptions=True,
    )
    published = await asyncio.gather(
        *(b.publish(run, "note", 1) for b in bridges), return_exceptions=True
    )
    begun = [2 + at // 2 for at, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert begun == sorted(set(begun))
    assert begun[-1] == 3
    for at, (outcome, result) in enumerate(zip(outcomes, published, strict=True)):
        if isinstance(outcome, str):
            assert isinstance(result, str) == (at >= 2)


@pytest.mark.parametrize("attempt", [1, 2])
async def test_no_attempt_begins_after_the_end(bridge, run, attempt):
    await bridge.publish_end(run)
    with pytest.raises(StreamTerminatedError):
        await bridge.begin_attempt(run, attempt)
    assert (await bridge.status(run)).event_count == 2


@pytest.mark.parametrize("attempt", [0, -1])
async def test_attempts_are_counted_from_one(bridge, run, attempt):
    with pytest.raises(ValueError, match="attempt"):
        await bridge.begin_attempt(run, attempt)
