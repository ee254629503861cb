"""Which runs are in somebody's hands: asked of the workers themselves, and of the threads.

A worker writes nothing down to hold a run beyond its job's lease. It answers when it is asked, for
as long as it lives.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from bridge import RunBridge, RunRef
from runs.errors import RunNotFoundError
from runs.manager import RunManager


class HeldRuns:
    """Tells the sweep for silent runs which of them are looked after.

    Args:
        bridge: A started bridge.
        manager: Knows the threads.
    """

    def __init__(self, bridge: RunBridge, manager: RunManager) -> None:
        self._bridge = bridge
        self._manager = manager

    async def find_held(self, runs: Sequence[RunRef]) -> set[str]:
        """Return the ids of runs that a worker executes, or that have not started yet.

        Raises:
            UnavailableError: The server fell silent.
        """
        waits = await asyncio.gather(*(self._waits(run) for run in runs))
        waiting = {run.run_id for run, is_waiting in zip(runs, waits, strict=True) if is_waiting}
        started = [run.run_id for run in runs if run.run_id not in waiting]
        return waiting | await self._bridge.holders.ask(started)

    async def _waits(self, run: RunRef) -> bool:
        """Whether the run's turn, or a worker for it, is still to come: that is no silence."""
        found = await self._manager.records.find_thread(run.thread_id)
        if found is None or not found.record.has_inflight(run.run_id):
            return False
        active = found.record.find_active(run.run_id)
        return active is None or not active.is_held

    async def settle(self, run: RunRef) -> None:
        """Make record and thread agree with the log; that releases the thread's next run.

        Raises:
            UnavailableError: The server fell silent; whoever looks at the run does it later.
        """
        with suppress(RunNotFoundError):  # it was published without run control
            await self._manager.settle(run)
