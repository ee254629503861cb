"""Runs without a server, in one process."""

import pytest

from bridge import MemorySettings, MemoryStreamBridge
from runs import ExpirySettings, RunFailedError, RunQuery, RunSpec, RunStatus
from runs.in_memory import open_in_memory


async def test_runs_are_executed_without_a_server():
    async with open_in_memory() as facade:
        thread = (await facade.create_thread()).thread_id
        for n in range(3):
            run = await facade.create_background(
                RunSpec(assistant_id="echo", thread_id=thread, input=n)
            )
            assert await facade.join_wait(thread, run.run_id) == n
        failing = RunSpec(assistant_id="echo", thread_id=thread, input={"fail": "as asked"})
        run = await facade.create_background(failing)
        with pytest.raises(RunFailedError, match="as asked"):
            await facade.join_wait(thread, run.run_id)
        assert (await facade.get_run(thread, run.run_id)).status is RunStatus.ERROR


async def test_ended_runs_leave_the_memory_when_their_time_is_over(eventually):
    expiry = ExpirySettings(max_ended_runs=1, interval_s=0.05)
    async with open_in_memory(expiry=expiry) as facade:
        thread = (await facade.create_thread()).thread_id
        runs = []
        for n in range(4):
            spec = RunSpec(assistant_id="echo", thread_id=thread, input=n)
            runs.append(await facade.create_background(spec))
            await facade.join_wait(thread, runs[-1].run_id)

        async def only_the_newest_is_left():
            found = await facade.search_runs(RunQuery(), limit=10)
            return [run.run_id for run in found.runs] == [runs[-1].run_id]

        await eventually(only_the_newest_is_left)
        assert (await facade.thread_state(thread)).values == 3


async def test_deleted_records_are_remembered_up_to_a_bound():
    async with MemoryStreamBridge(MemorySettings(max_tombstones=3)) as bridge:
        for n in range(5):
            revision = await bridge.states.create("kind", f"k{n}", b"1")
            await bridge.states.delete("kind", f"k{n}", revision=revision)
        assert await bridge.states.keys("kind") == ["k2", "k3", "k4"]
