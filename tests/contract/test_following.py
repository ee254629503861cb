import asyncio

import pytest
from reading import PATIENCE_S, enter, events_of, is_over, notes_of, read_all, run_seqs, take

from bridge import (
    CANCELLED,
    END,
    HEARTBEAT,
    ResumeStatus,
    StreamEvent,
    StreamNotFoundError,
    new_event,
)


async def test_a_reader_gets_what_was_there_and_then_what_comes(bridge, run):
    before = [await bridge.publish(run, "note", n) for n in range(5)]
    async with bridge.subscribe(run) as stream:
        history = await take(stream, 6)
        after = [await bridge.publish(run, "note", n) for n in range(5, 10)]
        live = await take(stream, 5)
        terminal = await bridge.publish_end(run)
        rest = await take(stream, 2)
    assert [event.id for event in history[1:]] == before
    assert [event.id for event in live] == after
    assert (rest[0].id, rest[1]) == (terminal, END)
    assert run_seqs(history + live + rest) == list(range(1, 13))


async def test_a_reader_on_another_bridge_gets_the_same_events(bridge, run, connect):
    other = await connect()
    async with other.subscribe(run) as stream:
        ids = [await bridge.publish(run, "note", n) for n in range(50)]
        items = await take(stream, 51)
    assert [event.id for event in items[1:]] == ids


async def test_readers_that_join_during_a_burst_get_every_event_once(
    bridge, run, connect, eventually
):
    other = await connect()

    async def publisher():
        for start in range(0, 600, 3):
            await bridge.publish_many(run, [new_event("note", start + n) for n in range(3)])
        await bridge.publish_end(run)

    async def late_reader(delay_events):
        async def has_come_so_far():
            return (await other.status(run)).event_count >= delay_events

        await eventually(has_come_so_far, within_s=PATIENCE_S)
        return await read_all(other if delay_events % 2 else bridge, run)

    outcomes = await asyncio.gather(publisher(), *(late_reader(n) for n in range(1, 600, 60)))
    for items in outcomes[1:]:
        assert run_seqs(items) == list(range(1, 603))
        assert items[-1] is END


async def test_many_readers_share_one_run(bridge, run):
    async def reader():
        return run_seqs(await read_all(bridge, run))

    readers = [asyncio.create_task(reader()) for _ in range(100)]
    for n in range(100):
        await bridge.publish(run, "note", n)
    await bridge.publish_end(run)
    assert await asyncio.gather(*readers) == [list(range(1, 103))] * 100


async def test_dropping_and_rejoining_with_the_last_id_loses_nothing(bridge, run):
    async def publisher():
        for n in range(400):
            await bridge.publish(run, "note", n)
        await bridge.publish_end(run)

    async def reader():
        seen, after = [], None
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with bridge.subscribe(run, last_event_id=after) as stream:
                    for _ in range(17):
                        item = await anext(stream)
                        if is_over(item):
                            return seen
                        if isinstance(item, StreamEvent):
                            seen.append(item.run_seq)
                            after = item.id

    publishing = asyncio.create_task(publisher())
    assert await asyncio.gather(reader(), reader(), reader()) == [list(range(1, 403))] * 3
    await publishing


async def test_a_late_reader_of_a_finished_run_gets_everything_and_the_end(bridge, run):
    await bridge.publish(run, "note", 1)
    await bridge.publish_end(run)
    items = await read_all(bridge, run)
    assert [event.event for event in items[:-1]] == ["metadata", "note", "end"]
    assert items[-1] is END


async def test_rejoining_a_finished_run_at_its_end_ends_at_once(bridge, run):
    await bridge.publish(run, "note", 1)
    terminal = await bridge.publish_end(run)
    assert await read_all(bridge, run, terminal) == [END]


async def test_nothing_comes_after_the_end(bridge, run):
    await bridge.publish_end(run)
    async with bridge.subscribe(run) as stream:
        assert (await take(stream, 3))[-1] is END
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_silence_is_broken_by_heartbeats(bridge, run):
    async with (
        bridge.subscribe(run, heartbeat_interval=0.02) as stream,
        asyncio.timeout(PATIENCE_S),
    ):
        await take(stream, 1)
        assert [await anext(stream) for _ in range(3)] == [HEARTBEAT] * 3
        await bridge.publish(run, "note", 1)
        assert notes_of(await take(stream, 1)) == [1]
        assert await anext(stream) is HEARTBEAT


async def test_an_event_ends_the_silence_at_once(bridge, run):
    async with bridge.subscribe(run, heartbeat_interval=3600) as stream:
        await take(stream, 1)
        waiting = asyncio.create_task(take(stream, 1))
        await asyncio.sleep(0)
        await bridge.publish(run, "note", 1)
        assert notes_of(await waiting) == [1]


async def test_a_slow_reader_loses_nothing_and_blocks_nobody(bridge, run):
    async with bridge.subscribe(run) as slow, bridge.subscribe(run) as quick:
        await take(slow, 1)
        await take(quick, 1)
        for start in range(0, 10_000, 500):
            await bridge.publish_many(run, [new_event("note", start + n) for n in range(500)])
        assert notes_of(await take(quick, 10_000)) == list(range(10_000))
        assert notes_of(await take(slow, 10_000)) == list(range(10_000))


async def test_a_reader_that_leaves_does_not_disturb(bridge, run):
    async with bridge.subscribe(run) as stays:
        async with bridge.subscribe(run) as leaves:
            await take(leaves, 1)
            await bridge.publish(run, "note", 1)
        failing = asyncio.create_task(read_all(bridge, run))
        await asyncio.sleep(0)
        failing.cancel()
        await asyncio.gather(failing, return_exceptions=True)
        await bridge.publish(run, "note", 2)
        assert notes_of(await take(stays, 3)) == [1, 2]
    assert (await bridge.status(run)).event_count == 3


async def test_batches_hold_what_waits_and_end_with_the_end(bridge, run):
    await bridge.publish_many(run, [new_event("note", n) for n in range(40)])
    await bridge.publish_end(run)
    async with bridge.follow(run) as following, asyncio.timeout(PATIENCE_S):
        batches = [list(batch) async for batch in following.batches()]
    assert following.resume.status is ResumeStatus.FRESH
    assert all(batches)
    items = [item for batch in batches for item in batch]
    assert run_seqs(items) == list(range(1, 43))
    assert items.index(END) == len(items) - 1


async def test_a_heartbeat_comes_alone(bridge, run):
    async with (
        asyncio.timeout(PATIENCE_S),
        bridge.follow(run, heartbeat_interval=0.02) as following,
    ):
        batches = following.batches()
        assert [event.event for event in await anext(batches)] == ["metadata"]
        assert list(await anext(batches)) == [HEARTBEAT]


async def test_closing_tells_readers_who_then_resume_elsewhere(bridge, run, connect):
    closing = await connect()
    for start in range(0, 5000, 1000):
        await bridge.publish_many(run, [new_event("note", start + n) for n in range(1000)])
    async with closing.subscribe(run) as waiting, closing.subscribe(run) as behind:
        await take(waiting, 5001)
        got = await take(behind, 1)
        await closing.close()
        assert await take(waiting, 1) == [CANCELLED]
        async with asyncio.timeout(PATIENCE_S):
            got += [item async for item in behind]
    await bridge.publish_end(run)
    assert got[-1] is CANCELLED
    rest = await read_all(bridge, run, got[-2].id)
    assert run_seqs(got + rest) == list(range(1, 5003))


async def test_closing_does_not_fail_a_reader_that_is_just_reading(
    bridge, run, connect, eventually
):
    closing = await connect()
    for start in range(0, 5000, 1000):
        await bridge.publish_many(run, [new_event("note", start + n) for n in range(1000)])
    entered = []

    async def reader():
        async with asyncio.timeout(PATIENCE_S), closing.subscribe(run) as stream:
            entered.append(stream)
            return [item async for item in stream]

    reading = [asyncio.create_task(reader()) for _ in range(3)]
    await eventually(lambda: len(entered) == 3)
    await closing.close()
    for outcome in await asyncio.gather(*reading):
        assert outcome[-1] is CANCELLED
        assert run_seqs(outcome) == list(range(1, len(outcome)))


async def test_closing_one_bridge_leaves_the_readers_of_others(bridge, run, connect):
    other = await connect()
    async with bridge.subscribe(run) as stream:
        await other.close()
        await bridge.publish_end(run)
        assert [type(item) for item in await take(stream, 3)][:2] == [StreamEvent, StreamEvent]


async def test_a_finished_run_ends_even_when_the_bridge_closes(run, connect):
    closing = await connect()
    async with closing.subscribe(run) as stream:
        await take(stream, 1)
        await closing.publish_end(run)
        assert [event.event for event in events_of(await take(stream, 1))] == ["end"]
        await closing.close()
        assert await take(stream, 1) == [END]


async def test_following_a_run_nobody_created_raises_on_entering(bridge):
    with pytest.raises(StreamNotFoundError):
        await enter(bridge, "nobody")
    with pytest.raises(StreamNotFoundError):
        async with bridge.follow("nobody"):
            pytest.fail("entered a run that nobody created")
