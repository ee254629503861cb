"""Durable consumers: a name whose position the log remembers, on both bridges."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from reading import PATIENCE_S

from bridge import (
    BridgeClosedError,
    ConflictError,
    ConsumerDriftError,
    ConsumerNotFoundError,
    DeadCause,
    InvalidIdError,
    InvalidStartError,
    StreamNotFoundError,
    new_event,
)

THREAD = "thread-1"
#: Short, so that redelivery is seen soon.
ACK_WAIT_S = 0.3


async def take(consumption, count):
    """The next ``count`` deliveries of an iteration."""
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(consumption) for _ in range(count)]


async def handle(consumption, count):
    """Take and acknowledge; return the ids of the events in the order they came."""
    taken = []
    async with asyncio.timeout(PATIENCE_S):
        while len(taken) < count:
            delivery = await anext(consumption)
            await delivery.ack()
            taken.append(delivery.event.id)
    return taken


async def is_silent(consumption):
    return await consumption.fetch(1, wait_s=0.05) == []


async def publish(bridge, run_id, *values, **options):
    return [await bridge.publish(run_id, "note", value, **options) for value in values]


@pytest.fixture
def info_of(bridge):
    async def find(name):
        try:
            return await bridge.get_consumer(name)
        except ConsumerNotFoundError:
            return None

    return find


async def test_without_a_wait_all_that_the_log_has_comes_at_one_time(bridge, run):
    ids = await publish(bridge, run, *range(50))
    async with bridge.consume("audit") as deliveries:
        (birth,) = await deliveries.fetch(1, wait_s=PATIENCE_S)
        found = await deliveries.fetch(100, wait_s=0)
        assert await deliveries.fetch(100, wait_s=0) == []
        ids_after = await publish(bridge, run, 50, 51)
        assert [each.event.id for each in await deliveries.fetch(1, wait_s=0)] == ids_after[:1]
        assert [each.event.id for each in await deliveries.fetch(9, wait_s=0)] == ids_after[1:]
    assert birth.event.event == "metadata"
    assert [each.event.id for each in found] == ids


async def test_a_name_gets_every_event_of_every_run_in_order_until_acknowledged(bridge, run):
    await bridge.create("run-2", thread_id="thread-2")
    ids = await publish(bridge, run, 1, 2)
    ids += await publish(bridge, "run-2", 3)
    async with bridge.consume("audit") as deliveries:
        first, second, *rest = await take(deliveries, 5)
    assert [each.event.id for each in rest] == ids
    assert (first.event.event, second.event.event) == ("metadata", "metadata")
    assert [(each.thread_id, each.run_id) for each in rest] == [
        (THREAD, run),
        (THREAD, run),
        ("thread-2", "run-2"),
    ]
    assert [each.event.data for each in rest] == [1, 2, 3]
    assert {each.attempt for each in [first, second, *rest]} == {1}


async def test_a_name_goes_on_after_what_was_acknowledged_in_another_session(connect, bridge, run):
    ids = await publish(bridge, run, *range(10))
    async with bridge.consume("audit", run_id=run) as deliveries:
        await handle(deliveries, 5)
    async with (await connect()).consume("audit", run_id=run) as deliveries:
        assert await handle(deliveries, 6) == ids[4:]
        assert await is_silent(deliveries)


async def test_what_a_reader_left_unhandled_comes_to_the_next_one_at_once(connect, bridge, run):
    await publish(bridge, run, *range(20))
    async with bridge.consume("audit", ack_wait_s=60) as deliveries:
        handled = await handle(deliveries, 8)
        assert len(handled) == len(set(handled))
    async with (await connect()).consume("audit", ack_wait_s=60) as deliveries:
        rest = await handle(deliveries, 13)
    assert len({*handled, *rest}) == 21


async def test_the_same_name_in_two_processes_shares_the_work(connect, bridge, run):
    ids = await publish(bridge, run, *range(40))
    seen = {"a": [], "b": []}

    async def work(other, who):
        async with other.consume("work", run_id=run, batch=2) as deliveries:
            async for delivery in deliveries:
                seen[who].append(delivery.event.id)
                await delivery.ack()
                await asyncio.sleep(0.002)
                if sum(map(len, seen.values())) > len(ids):
                    return

    workers = [
        asyncio.create_task(work(await connect(), "a")),
        asyncio.create_task(work(await connect(), "b")),
    ]
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert seen["a"]
    assert seen["b"]
    everything = [*seen["a"], *seen["b"]]
    assert set(ids) < set(everything)
    assert len(everything) == len(ids) + 1


async def test_a_name_can_be_limited_to_a_thread_or_to_a_run(bridge, run):
    await bridge.create("run-2", thread_id=THREAD)
    await bridge.create("run-3", thread_id="thread-2")
    for each in (run, "run-2", "run-3"):
        await bridge.publish(each, "note", each)
    async with bridge.consume("of-thread", thread_id=THREAD) as deliveries:
        taken = await take(deliveries, 4)
        assert {each.run_id for each in taken} == {run, "run-2"}
        assert await is_silent(deliveries)
    for options in ({"run_id": "run-2"}, {"run_id": "run-2", "thread_id": THREAD}):
        async with bridge.consume(f"of-run-{len(options)}", **options) as deliveries:
            assert [each.run_id for each in await take(deliveries, 2)] == ["run-2"] * 2
            assert await is_silent(deliveries)


async def test_other_categories_are_acknowledged_unseen(bridge, run, info_of, eventually):
    for category in ("message", "trace", "message", "stream", "outputs"):
        await bridge.publish(run, "note", category, category=category)
    name = "messages"
    async with bridge.consume(name, categories=["outputs", "message"]) as deliveries:
        taken = await take(deliveries, 3)
        assert [each.event.data for each in taken] == ["message", "message", "outputs"]
        for each in taken:
            await each.ack()
        assert await is_silent(deliveries)

        async def caught_up():
            return (await info_of(name)).is_caught_up

        await eventually(caught_up)


async def test_a_new_name_can_start_with_what_is_stored_from_now_on(bridge, run):
    await publish(bridge, run, 1, 2)
    async with bridge.consume("late", start="new") as deliveries:
        assert await is_silent(deliveries)
        ids = await publish(bridge, run, 3)
        assert await handle(deliveries, 1) == ids


async def test_a_new_name_can_start_after_an_event(bridge, run):
    ids = await publish(bridge, run, 1, 2, 3)
    async with bridge.consume("after", start=ids[0]) as deliveries:
        assert await handle(deliveries, 2) == ids[1:]
    async with bridge.consume("after", start=ids[0]) as deliveries:
        assert await is_silent(deliveries)


@pytest.mark.usefixtures("run")
async def test_an_event_that_is_not_acknowledged_in_time_comes_again(bridge):
    async with bridge.consume("slow", ack_wait_s=ACK_WAIT_S) as deliveries:
        first, again = await take(deliveries, 2)
        assert first.event.id == again.event.id
        assert (first.attempt, again.attempt) == (1, 2)
        await again.ack()
        assert await is_silent(deliveries)


@pytest.mark.usefixtures("run")
async def test_an_event_that_is_being_handled_stays_with_its_handler(bridge):
    async with bridge.consume("long", ack_wait_s=ACK_WAIT_S) as deliveries:
        (delivery,) = await take(deliveries, 1)
        for _ in range(6):
            await delivery.in_progress()
            assert await deliveries.fetch(1, wait_s=ACK_WAIT_S / 3) == []
        await delivery.ack()


@pytest.mark.usefixtures("run")
async def test_an_event_that_is_given_back_comes_again_after_the_delay(bridge):
    async with bridge.consume("again", ack_wait_s=60) as deliveries:
        (delivery,) = await take(deliveries, 1)
        await delivery.nak()
        (delivery,) = await take(deliveries, 1)
        assert delivery.attempt == 2
        await delivery.nak(0.3)
        assert await is_silent(deliveries)
        (delivery,) = await take(deliveries, 1)
        assert delivery.attempt == 3
        await delivery.ack()


@pytest.mark.usefixtures("run")
async def test_only_the_first_word_about_a_delivery_counts(bridge):
    async with bridge.consume("once", ack_wait_s=60) as deliveries:
        (delivery,) = await take(deliveries, 1)
        await delivery.ack()
        await delivery.nak()
        await delivery.term("too late")
        assert await is_silent(deliveries)
    assert await bridge.list_dead_letters("once") == []


async def test_an_event_given_up_is_a_dead_letter_with_its_cause_and_never_comes_again(bridge, run):
    metadata = {"k": [1]}
    (event_id,) = await publish(bridge, run, {"n": 1}, category="message", metadata=metadata)
    async with bridge.consume("strict", start="all", categories=["message"]) as deliveries:
        (delivery,) = await take(deliveries, 1)
        await delivery.term("no such\ncustomer: \u00e4")
        assert await is_silent(deliveries)
    (letter,) = await bridge.list_dead_letters("strict")
    assert (letter.cause, letter.reason) == (DeadCause.TERMINATED, "no such customer: \u00e4")
    assert (letter.consumer, letter.attempt) == ("strict", 1)
    event = letter.event
    assert (event.id, event.event, event.data) == (event_id, "note", {"n": 1})
    assert (event.thread_id, event.run_id) == (THREAD, run)
    assert (event.category, event.metadata) == ("message", metadata)
    assert event == delivery.event


async def test_an_event_that_nobody_acknowledges_is_a_dead_letter_after_the_last_delivery(
    bridge, run
):
    ids = await publish(bridge, run, 1, 2)
    name = "poison"
    attempts = []
    async with bridge.consume(name, ack_wait_s=ACK_WAIT_S, max_deliver=3) as deliveries:
        async with asyncio.timeout(PATIENCE_S):
            while not await bridge.list_dead_letters(name):
                for delivery in await deliveries.fetch(1, wait_s=0.05):
                    if delivery.event.id == ids[0]:
                        attempts.append(delivery.attempt)
                    else:
                        await delivery.ack()
    assert attempts == [1, 2, 3]
    (letter,) = await bridge.list_dead_letters(name)
    assert (letter.event.id, letter.cause) == (ids[0], DeadCause.EXHAUSTED)
    assert "3 deliveries" in letter.reason


@pytest.mark.usefixtures("run")
async def test_an_event_given_back_at_its_last_delivery_is_a_dead_letter_at_once(bridge):
    async with bridge.consume("refused", max_deliver=2, ack_wait_s=60) as deliveries:
        for _ in range(2):
            (delivery,) = await take(deliveries, 1)
            await delivery.nak()
        assert await is_silent(deliveries)
    (letter,) = await bridge.list_dead_letters("refused")
    assert (letter.attempt, letter.cause) == (2, DeadCause.EXHAUSTED)


@pytest.mark.usefixtures("run")
async def test_without_a_limit_an_event_is_never_given_up(bridge):
    async with bridge.consume("patient", max_deliver=None, ack_wait_s=60) as deliveries:
        for attempt in range(1, 9):
            (delivery,) = await take(deliveries, 1)
            assert delivery.attempt == attempt
            await delivery.nak()
    assert await bridge.list_dead_letters("patient") == []


async def test_the_dead_letters_of_a_deleted_run_go_with_it(bridge, run):
    await bridge.create("run-2", thread_id=THREAD)
    await publish(bridge, run, 1)
    (kept,) = await publish(bridge, "run-2", 2)
    for name in ("one", "two"):
        async with bridge.consume(name, categories=["stream"]) as deliveries:
            for delivery in await take(deliveries, 2):
                await delivery.term("no")
    await bridge.cleanup(run)
    for name in ("one", "two"):
        assert [each.event.id for each in await bridge.list_dead_letters(name)] == [kept]


async def test_dead_letters_are_listed_by_name_in_pages_and_outlive_their_consumer(bridge, run):
    ids = await publish(bridge, run, 1, 2, 3)
    for name in ("one", "two"):
        async with bridge.consume(name, start=ids[0]) as deliveries:
            for delivery in await take(deliveries, 2):
                await delivery.term("no")
        await bridge.delete_consumer(name)
    first = await bridge.list_dead_letters("two", limit=1)
    rest = await bridge.list_dead_letters("two", after=first[0].seq)
    assert [each.event.id for each in [*first, *rest]] == ids[1:]
    assert await bridge.list_dead_letters("two", after=rest[0].seq) == []


async def test_an_event_that_kills_its_readers_becomes_a_dead_letter_and_no_neighbour_does(
    connect, bridge, run
):
    ids = await publish(bridge, run, *range(20))
    poison = ids[1]
    options = {"start": ids[0], "ack_wait_s": ACK_WAIT_S, "max_deliver": 2, "batch": 50}
    handled = []
    async with AsyncExitStack() as dead:
        for _ in range(2):
            process = await connect()
            deliveries = await dead.enter_async_context(process.consume("crash", **options))
            while (delivery := (await take(deliveries, 1))[0]).event.id != poison:
                handled.append(delivery.event.id)
                await delivery.ack()
            # Nothing is given back: the process is gone in the middle of this event.
            await process.close()
    async with bridge.consume("crash", **options) as deliveries, asyncio.timeout(PATIENCE_S):
        while len(handled) < 18 or not await bridge.list_dead_letters("crash"):
            for delivery in await deliveries.fetch(1, wait_s=0.05):
                handled.append(delivery.event.id)
                await delivery.ack()
    assert sorted(handled) == sorted(ids[2:])
    assert [each.event.id for each in await bridge.list_dead_letters("crash")] == [poison]


async def test_events_that_wait_at_a_busy_reader_are_not_handed_to_another(connect, bridge, run):
    await publish(bridge, run, *range(30))
    options = {"ack_wait_s": ACK_WAIT_S, "batch": 50}
    async with bridge.consume("busy", **options) as busy:
        seen = await take(busy, 5)  # by now more of them wait here
        for each in seen:
            await each.ack()
        await asyncio.sleep(ACK_WAIT_S * 3)
        async with (await connect()).consume("busy", **options) as idle:
            others = await idle.fetch(50, wait_s=0.1)
            assert {each.attempt for each in others} <= {1}
            for each in others:
                await each.ack()
        rest = await take(busy, 26 - len(others))
        assert {each.attempt for each in rest} <= {1}


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"thread_id": "other"}, "filter_subject|thread_id"),
        ({"categories": ["message"]}, "categories"),
        ({"max_deliver": 7}, "max_deliver"),
        ({"ack_wait_s": 7.0}, "ack_wait"),
        ({"max_ack_pending": 7}, "max_ack_pending"),
        ({"start": "new"}, "deliver_policy|start"),
    ],
    ids=str,
)
async def test_a_name_that_stands_for_something_else_is_an_error_that_names_the_field(
    bridge, change, field
):
    async with bridge.consume("mine"):
        pass
    with pytest.raises(ConsumerDriftError, match=field) as caught:
        async with bridge.consume("mine", **change):
            pass
    assert caught.value.name == "mine"
    assert caught.value.field in (*field.split("|"), f"{field}_s")
    async with bridge.consume("mine", batch=3) as deliveries:
        assert len(await handle(deliveries, 1)) == 1


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"name": "no.token"}, InvalidIdError),
        ({"name": ""}, InvalidIdError),
        ({"thread_id": "*"}, InvalidIdError),
        ({"run_id": ">"}, InvalidIdError),
        ({"start": "yesterday"}, InvalidStartError),
        ({"batch": 0}, ValueError),
        ({"ack_wait_s": 0}, ValueError),
        ({"max_deliver": 0}, ValueError),
        ({"categories": []}, ValueError),
        ({"run_id": "unknown"}, StreamNotFoundError),
        ({"run_id": "run-1", "thread_id": "other"}, ConflictError),
    ],
    ids=str,
)
async def test_wrong_arguments_are_refused_and_make_nothing(bridge, arguments, error):
    with pytest.raises(error):
        async with bridge.consume(**{"name": "wrong", **arguments}):
            pass
    assert await bridge.list_consumers() == []
    with pytest.raises(StreamNotFoundError):
        await bridge.status("unknown")


async def test_names_are_listed_with_what_is_left_to_do(bridge, run, info_of, eventually):
    await publish(bridge, run, 1, 2, 3)
    async with bridge.consume("b", run_id=run, thread_id=THREAD, ack_wait_s=60) as deliveries:
        first, _ = await deliveries.fetch(2, wait_s=5)
        await first.ack()

        async def is_known():
            info = await info_of("b")
            return (info.waiting, info.unacknowledged) == (2, 1)

        await eventually(is_known)
        info = await info_of("b")
        assert (info.thread_id, info.run_id) == (THREAD, run)
        assert info.acknowledged_seq == first.event.event_id.stream_seq
    async with bridge.consume("a"):
        assert [each.name for each in await bridge.list_consumers()] == ["a", "b"]
    info = await info_of("a")
    assert (info.thread_id, info.run_id, info.is_caught_up) == (None, None, False)


@pytest.mark.usefixtures("run")
async def test_a_deleted_name_ends_its_readers_and_starts_anew_when_opened_again(bridge):
    async with bridge.consume("gone") as deliveries:
        before = await handle(deliveries, 1)
        assert await is_silent(deliveries)
        waiting = asyncio.create_task(anext(deliveries))
        await asyncio.sleep(0)
        await bridge.delete_consumer("gone")
        with pytest.raises(ConsumerNotFoundError):
            async with asyncio.timeout(PATIENCE_S):
                await waiting
    assert await bridge.list_consumers() == []
    with pytest.raises(ConsumerNotFoundError):
        await bridge.delete_consumer("gone")
    async with bridge.consume("gone") as deliveries:
        assert await handle(deliveries, 1) == before


async def test_a_closing_bridge_ends_the_iteration_with_an_error(make_bridge):
    bridge = make_bridge()
    await bridge.start()
    async with bridge.consume("closing") as deliveries:
        waiting = asyncio.create_task(anext(deliveries))
        await asyncio.sleep(0)
        await bridge.close()
        with pytest.raises(BridgeClosedError):
            async with asyncio.timeout(PATIENCE_S):
                await waiting
    with pytest.raises(BridgeClosedError):
        async with bridge.consume("closing"):
            pass


async def test_events_that_left_the_log_are_not_handed_out_and_block_nothing(bridge, run):
    await bridge.publish_many(run, [new_event("note", n) for n in range(20)])
    await bridge.trim(run, keep=3)
    async with bridge.consume("late") as deliveries:
        taken = await take(deliveries, 3)
        assert [each.event.run_seq for each in taken] == [19, 20, 21]
        assert await is_silent(deliveries)


@pytest.mark.usefixtures("run")
async def test_silence_does_not_say_that_all_is_handled(bridge, info_of):
    # "Caught up" said too early: others, or a reader that has died, may hold what is left.
    async with bridge.consume("pair", ack_wait_s=60) as busy:
        (held,) = await take(busy, 1)
        async with bridge.consume("pair", ack_wait_s=60) as idle:
            assert await is_silent(idle)
            assert not (await info_of("pair")).is_caught_up
        await held.ack()


async def test_large_events_are_fetched_in_parts_and_none_is_left_behind(bridge, run):
    sizes = [7 << 20, 1, 3 << 20, 6 << 20, 7 << 20, 5]
    ids = await publish(bridge, run, *("x" * size for size in sizes))
    async with bridge.consume("large", start=ids[0], batch=50) as deliveries:
        seen = []
        async with asyncio.timeout(PATIENCE_S):
            while len(seen) < len(sizes) - 1:
                for delivery in await deliveries.fetch(50, wait_s=5):
                    seen.append(delivery.event.id)
                    await delivery.ack()
    assert seen == ids[1:]


async def test_the_terminal_of_a_run_is_delivered_like_any_event(bridge, run):
    end = await bridge.publish_end(run)
    async with bridge.consume("ends", run_id=run) as deliveries:
        assert (await handle(deliveries, 2))[-1] == end


async def test_watching_by_name_disturbs_nobody(bridge, run):
    # A handler that is stuck holds its own events, and neither the run nor other names.
    async with bridge.consume("stuck", ack_wait_s=60, max_ack_pending=1) as stuck:
        await take(stuck, 1)
        ids = await publish(bridge, run, *range(50))
        assert await is_silent(stuck)
        async with bridge.consume("healthy") as deliveries:
            assert (await handle(deliveries, 51))[1:] == ids
