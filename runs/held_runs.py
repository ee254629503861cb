"""Which runs are in somebody's hands: asked of the workers themselves, and of the threads.

A worker writes nothing down to hold a run beyond its job's lease. It answers when it is asked, for
as long as it lives.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from bridge import RunBridge, RunRef
from bridge.retention.run_holders import NO_PUBLISH_TIMEOUT
from runs.errors import RunNotFoundError
from runs.manager import RunManager
from runs.models import now
from runs.settings import RunSettings
from runs.thread import ActiveRun, ThreadRecord

#: Why a run is ended that no worker ever took.
NO_WORKER: Final = "no_worker"


class HeldRuns:
    """Tells the sweep for silent runs which of them are looked after.

    Args:
        bridge: A started bridge.
        manager: Knows the threads.
        settings: How long a run may wait for a worker.
    """

    def __init__(
        self, bridge: RunBridge, manager: RunManager, settings: RunSettings | None = None
    ) -> None:
        self._bridge = bridge
        self._manager = manager
        self._patience_s = (settings or RunSettings()).no_worker_timeout_s

    async def find_held(self, runs: Sequence[RunRef]) -> set[str]:
        """Return the ids of runs that a worker executes, or that may wait for their start.

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
        if active is None:
            return True
        return not active.is_held and self._may_come(found.record, active)

    def _may_come(self, thread: ThreadRecord, active: ActiveRun) -> bool:
        """Whether a worker may still come for the run whose turn it is."""
        # When it was given back, the thread was written.
        waits_since = thread.updated_at if active.released else active.since
        return (now() - waits_since).total_seconds() < self._patience_s

    async def explain(self, run: RunRef) -> str:
        """Return why a run that was left out is ended.

        Raises:
            UnavailableError: The server fell silent.
        """
        found = await self._manager.records.find_thread(run.thread_id)
        active = None if found is None else found.record.find_active(run.run_id)
        return NO_PUBLISH_TIMEOUT if active is None or active.is_held else NO_WORKER

    async def settle(self, run: RunRef) -> None:
        """Make record and thread agree with the log; that releases the thread's next run.

        Raises:
            UnavailableError: The server fell silent; whoever looks at the run does it later.
        """
        with suppress(RunNotFoundError):  # it was published without run control
            await self._manager.settle(run)
