"""Run control takes checkpoints with it: rollbacks restore them, deletions erase them."""

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from bridge import CheckpointFencedError, RunRef
from runs import (
    AssistantCatalog,
    CancelOutcome,
    RunManager,
    RunNotFoundError,
    RunSettings,
    RunsFacade,
    RunSpec,
)
from runs.langgraph import JetStreamSaver


@pytest.fixture
def manager(bridge):
    return RunManager(bridge, AssistantCatalog(), RunSettings(delete_wait_s=0.2))


@pytest.fixture
def facade(manager, bridge):
    return RunsFacade(manager, bridge)


@pytest.fixture
async def thread(facade):
    return (await facade.create_thread()).thread_id


class Work:
    """A run in progress as its worker sees it."""

    def __init__(self, bridge, run):
        self.run = run
        self.saver = JetStreamSaver(bridge.checkpoints)

    async def step(self, value):
        at = {"configurable": {"thread_id": self.run.thread_id, "checkpoint_ns": ""}}
        newest = await self.saver.aget_tuple(at)
        made = empty_checkpoint()
        made["channel_values"], made["channel_versions"] = {"x": value}, {"x": value}
        at = at if newest is None else newest.config
        at = await self.saver.aput(at, made, {"step": 1}, {"x": value})
        await self.saver.aput_writes(at, [("x", value)], "task")


@pytest.fixture
async def start(bridge, facade, manager, thread):
    async def start():
        run = await facade.create_background(RunSpec(thread_id=thread, assistant_id="echo"))
        await manager.start(RunRef(thread, run.run_id), "worker", 1)
        work = Work(bridge, run)
        await work.saver.claim(thread, run.run_id, 1)
        return work

    return start


async def stored(bridge, thread):
    saver = JetStreamSaver(bridge.checkpoints)
    found = [each async for each in saver.alist({"configurable": {"thread_id": thread}})]
    return [(each.checkpoint["channel_values"]["x"], each.pending_writes) for each in found]


async def test_a_cancel_by_rollback_restores_the_checkpoints_before_the_run(
    bridge, facade, thread, start
):
    first = await start()
    await first.step("1")
    await bridge.publish_end(first.run.run_id)
    await facade.settle(thread, first.run.run_id)
    before = await stored(bridge, thread)
    second = await start()
    await second.step("2")
    assert len(await stored(bridge, thread)) == 2
    outcome = await facade.cancel(thread, second.run.run_id, action="rollback")
    assert outcome is CancelOutcome.STOPPING
    await bridge.cancel(second.run.run_id)
    with pytest.raises(RunNotFoundError):
        await facade.settle(thread, second.run.run_id)
    assert await stored(bridge, thread) == before
    with pytest.raises(CheckpointFencedError):
        await second.step("late")
    third = await start()
    await third.step("3")
    assert [value for value, _ in await stored(bridge, thread)] == ["3", "1"]


async def test_a_cancel_by_interrupt_keeps_them(bridge, facade, thread, start):
    work = await start()
    await work.step("1")
    await facade.cancel(thread, work.run.run_id)
    await bridge.cancel(work.run.run_id)
    await facade.settle(thread, work.run.run_id)
    assert [value for value, _ in await stored(bridge, thread)] == ["1"]


async def test_deleting_a_thread_erases_its_checkpoints_and_refuses_later_ones(
    bridge, facade, thread, start
):
    work = await start()
    await work.step("1")
    assert await facade.delete_thread(thread)
    assert await stored(bridge, thread) == []
    with pytest.raises(CheckpointFencedError):
        await work.step("late")
