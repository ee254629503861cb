"""What a handler emits is stored in order; what was lost surfaces; what is under way is bounded."""

import asyncio
import time

import pytest

from bridge import (
    InvalidContentError,
    MemoryStreamBridge,
    ReservedEventError,
    StreamTerminatedError,
)
from runs.context import Outbox, RunContext
from runs.models import RunRecord, now
from runs.settings import WorkerSettings


class SlowBridge(MemoryStreamBridge):
    """Stores an event only while the gate is open."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()
        self.under_way = 0

    async def publish_event(self, run_id, event):
        self.under_way += 1
        await self.gate.wait()
        self.under_way -= 1
        return await super().publish_event(run_id, event)


@pytest.fixture
async def bridge():
    async with SlowBridge() as opened:
        await opened.create("r", thread_id="t")
        yield opened


def make_context(bridge, **settings):
    created = now()
    record = RunRecord(
        run_id="r",
        thread_id="t",
        assistant_id=None,
        executor="e",
        kwargs={"config": None, "context": {"c": 1}},
        created_at=created,
        updated_at=created,
    )
    outbox = Outbox(bridge, "r", WorkerSettings(**settings))
    return RunContext(record, 1, outbox), outbox


async def stored(bridge):
    await bridge.publish_end("r")
    async with bridge.subscribe("r") as items:
        return [item.data async for item in items if getattr(item, "event", None) == "e"]


async def test_events_are_stored_in_the_order_of_their_emission(bridge):
    context, _ = make_context(bridge, max_unacknowledged_events=7)
    bridge.gate.set()
    for n in range(100):
        await context.emit("e", n)
    await context.flush()
    assert await stored(bridge) == list(range(100))


async def test_emit_waits_while_the_run_emits_faster_than_it_may(bridge):
    context, _ = make_context(bridge, max_events_per_s=50)
    bridge.gate.set()
    began = time.monotonic()  # the clock of the rate; the loop's counts whole milliseconds
    for n in range(70):
        await context.emit("e", n)
    took_s = time.monotonic() - began
    await context.flush()
    # Twenty more than at once, at fifty a second. uvloop cuts the start of a sleep to a whole
    # millisecond and rounds its length: the last one ends up to 1.5 ms early, and only it counts.
    assert took_s > 0.4 - 0.0015
    assert await stored(bridge) == list(range(70))


async def test_emit_waits_while_too_many_events_are_under_way(bridge, eventually):
    context, _ = make_context(bridge, max_unacknowledged_events=4)

    async def emit_ten():
        for n in range(10):
            await context.emit("e", n)

    emitting = asyncio.create_task(emit_ten())
    await eventually(lambda: bridge.under_way == 4)
    assert not emitting.done()
    bridge.gate.set()
    await emitting
    await context.flush()
    assert await stored(bridge) == list(range(10))


async def test_emit_waits_while_too_many_bytes_are_under_way(bridge, eventually):
    context, _ = make_context(bridge, max_unacknowledged_bytes=100)
    emitting = asyncio.create_task(context.emit("e", "x" * 200))
    await eventually(lambda: bridge.under_way == 1)
    assert not emitting.done()
    bridge.gate.set()
    await emitting


async def test_a_lone_event_leaves_before_the_handler_waits_for_anything(bridge):
    context, _ = make_context(bridge)
    await context.emit("e", 1)
    assert bridge.under_way == 1
    bridge.gate.set()
    await context.flush()


async def test_an_event_that_could_not_be_stored_surfaces_at_the_next_emit(bridge):
    context, outbox = make_context(bridge)
    bridge.gate.set()
    await bridge.publish_end("r")
    await context.emit("e", 1)
    with pytest.raises(StreamTerminatedError):
        await context.flush()
    with pytest.raises(StreamTerminatedError):
        await context.emit("e", 2)
    assert isinstance(outbox.failure, StreamTerminatedError)


async def test_data_is_taken_as_it_is_at_the_call(bridge):
    context, _ = make_context(bridge)
    data = {"n": 1}
    await context.emit("e", data)
    data["n"] = 2
    bridge.gate.set()
    await context.flush()
    assert await stored(bridge) == [{"n": 1}]


@pytest.mark.parametrize(
    ("event", "data", "error"),
    [("end", 1, ReservedEventError), ("e", float("nan"), InvalidContentError)],
)
async def test_what_cannot_be_stored_is_refused_at_the_call(bridge, event, data, error):
    context, outbox = make_context(bridge)
    with pytest.raises(error):
        await context.emit(event, data)
    assert outbox.failure is None
    assert bridge.under_way == 0


async def test_abandoned_events_leave_nothing_running(bridge):
    context, outbox = make_context(bridge)
    for n in range(3):
        await context.emit("e", n)
    await outbox.abandon()
    assert asyncio.all_tasks() == {asyncio.current_task()}
