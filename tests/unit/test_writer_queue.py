"""The queue of a run's writer: its order, its limits, and callers that go."""

import asyncio

import pytest

from bridge import new_event
from bridge.settings import LogSettings
from bridge.writer_queue import Entry, WriterQueue

EVENT = new_event("updates", "x" * 8)


async def entries(*counts):
    loop = asyncio.get_running_loop()
    return [Entry([EVENT] * count, loop.create_future()) for count in counts]


@pytest.mark.parametrize(
    "limits", [{"max_queued_events": 4}, {"max_queued_bytes": 4 * len(EVENT.payload)}]
)
async def test_what_exceeds_the_limits_waits_in_line_and_moves_up_in_order(limits):
    queue = WriterQueue(LogSettings(**limits))
    all_of_them = await entries(2, 2, 1, 3, 1)
    for entry in all_of_them:
        queue.put(entry)
    assert list(queue) == all_of_them[:2]
    assert queue.pop(1) == all_of_them[:1]
    assert list(queue) == all_of_them[1:3]
    assert queue.pop(2) == all_of_them[1:3]
    assert list(queue) == all_of_them[3:]


async def test_nobody_overtakes_the_line_however_small():
    queue = WriterQueue(LogSettings(max_queued_events=3))
    large, small = await entries(3, 1)
    for entry in (first := (await entries(2))[0]), large, small:
        queue.put(entry)
    assert list(queue) == [first]


async def test_an_entry_above_the_limits_is_let_in_alone():
    queue = WriterQueue(LogSettings(max_queued_events=2))
    [huge] = await entries(9)
    queue.put(huge)
    assert queue.first is huge


async def test_a_caller_that_went_while_in_line_is_passed_over():
    queue = WriterQueue(LogSettings(max_queued_events=1))
    first, gone, third = await entries(1, 1, 1)
    for entry in (first, gone, third):
        queue.put(entry)
    gone.future.cancel()
    queue.pop(1)
    assert list(queue) == [third]


async def test_what_is_put_back_comes_first_and_counts():
    queue = WriterQueue(LogSettings(max_queued_events=2))
    first, second, third = await entries(1, 1, 1)
    for entry in (first, second, third):
        queue.put(entry)
    queue.put_back(queue.pop(1))
    assert list(queue) == [first, second, third]
    assert queue.event_count == 3
