"""A reader that is expected at a run's birth misses nothing, and need not ask the log."""

import asyncio
import uuid

import pytest

from bridge import END, RunRef, StreamEvent, StreamGap

PATIENCE_S = 20


@pytest.fixture
def run():
    return RunRef(str(uuid.uuid4()), str(uuid.uuid4()))


@pytest.fixture
async def expected(bridge, run):
    """A run that was born, and told something, while its reader was expected."""
    bridge.expect_reader(run)
    await bridge.create(run.run_id, thread_id=run.thread_id)
    for number in range(5):
        await bridge.publish(run.run_id, "note", number)
    return run.run_id


async def numbers(bridge, run_id, after=None):
    async with (
        asyncio.timeout(PATIENCE_S),
        bridge.follow(run_id, last_event_id=after) as following,
    ):
        items = []
        async for batch in following.batches():
            items += batch
            if batch[-1] is END:
                break
    assert not [item for item in items if isinstance(item, StreamGap)]
    return [item.run_seq for item in items if isinstance(item, StreamEvent)]


async def test_what_has_left_the_log_already_is_told_to_who_was_expected(bridge, expected):
    await bridge.publish_end(expected)
    await bridge.trim(expected, keep=1)
    assert await numbers(bridge, expected) == [1, 2, 3, 4, 5, 6, 7]


async def test_only_one_is_expected_and_others_read_the_log(bridge, expected):
    await bridge.publish_end(expected)
    assert await numbers(bridge, expected) == await numbers(bridge, expected)


async def test_who_brings_a_cursor_goes_on_behind_it(bridge, expected):
    last_id = await bridge.publish(expected, "note", "the last that was handled")
    await bridge.publish_end(expected)
    assert await numbers(bridge, expected, last_id) == [8]


async def test_live_events_follow_those_that_waited(bridge, expected):
    reading = asyncio.create_task(numbers(bridge, expected))
    for number in range(3):
        await bridge.publish(expected, "note", number)
    await bridge.publish_end(expected)
    assert await reading == list(range(1, 11))


async def test_a_server_that_was_killed_meanwhile_costs_nothing(bridge, expected, server):
    await server.kill()
    await server.restart()
    await bridge.publish_end(expected)
    assert await numbers(bridge, expected) == [1, 2, 3, 4, 5, 6, 7]


async def test_who_comes_before_anything_was_heard_takes_the_place_too(bridge, run):
    await bridge.create(run.run_id, thread_id=run.thread_id)
    bridge.expect_reader(run)
    async with (
        asyncio.timeout(PATIENCE_S),
        bridge.follow(run.run_id, heartbeat_interval=0.05) as following,
    ):
        assert (await bridge.status(run.run_id)).subscribers == 1
        async for batch in following.batches():
            if any(isinstance(item, StreamEvent) for item in batch):
                break
    assert (await bridge.status(run.run_id)).subscribers == 0


async def test_nobody_has_to_come(bridge, expected, eventually):
    assert (await bridge.status(expected)).subscribers == 1

    async def is_forgotten():
        return (await bridge.status(expected)).subscribers == 0

    await eventually(is_forgotten, within_s=10)
    await bridge.publish_end(expected)
    assert await numbers(bridge, expected) == [1, 2, 3, 4, 5, 6, 7]


async def test_a_run_that_is_never_born_leaves_nothing(bridge, run, eventually):
    bridge.expect_reader(run)
    assert (await bridge.get_stats()).total_subscribers == 1

    async def is_forgotten():
        return (await bridge.get_stats()).total_subscribers == 0

    await eventually(is_forgotten, within_s=10)
