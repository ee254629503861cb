"""Decide what a worker does with a job: execute the run, or end what cannot go on.

The thread's state decides, not the job: a job may come twice, late, or after its worker died.
"""

import asyncio
from contextlib import suppress
from typing import Final

from bridge import (
    RunBridge,
    RunRef,
    StateConflictError,
    StreamNotFoundError,
    StreamTerminatedError,
)
from runs.catalog import AssistantCatalog
from runs.errors import (
    ContentionError,
    IllegalTransitionError,
    RunNotFoundError,
    RunNotStartableError,
)
from runs.manager import RunManager
from runs.models import RunRecord
from runs.outcome import INTERRUPTED
from runs.reconciler import Known
from runs.records import Versioned
from runs.thread import ActiveRun, ThreadRecord

_MAX_TRIES: Final = 8


class Claims:
    """Gives runs to one worker.

    Args:
        bridge: A started bridge; it publishes as the attempt that was claimed.
        manager: Commits the start.
        catalog: Says what becomes of a run whose worker died.
        worker: The name of this worker, which no other has or had.
        probe_s: Seconds that another worker gets to say that it executes a run.
    """

    def __init__(
        self,
        bridge: RunBridge,
        manager: RunManager,
        catalog: AssistantCatalog,
        worker: str,
        *,
        probe_s: float,
    ) -> None:
        self._bridge = bridge
        self._manager = manager
        self._catalog = catalog
        self.worker = worker
        self._probe_s = probe_s

    async def claim(self, run: RunRef) -> Known | None:
        """Take a run over for execution.

        Returns:
            Its record, running as the attempt to execute, and its thread; ``None`` when there is
            nothing to execute and the job is done with.

        Raises:
            RunNotStartableError: Another worker executes it; leave the job alone.
            StreamFencedError: A later attempt has begun elsewhere; leave the job alone.
            ContentionError: Too many lost races; leave the job for later.
            UnavailableError: The server fell silent; leave the job for later.
        """
        for _ in range(_MAX_TRIES):
            thread, found, _ = await asyncio.gather(
                self._manager.records.find_thread(run.thread_id),
                self._manager.records.find_run(run.run_id),
                self._bridge.find_thread(run.run_id),  # so that the bridge knows it when it counts
            )
            active = None if thread is None else thread.record.find_active(run.run_id)
            if thread is None or active is None:
                # It has finished, but perhaps its worker died before it released the next one.
                await self._manager.reconciler.repair(run.thread_id)
                return None
            if await self._end_if_hopeless(run, thread.record, active, found):
                return None
            assert found is not None  # noqa: S101 - a missing record is hopeless
            # Else it was cancelled, or begun elsewhere, in between: look again.
            with suppress(RunNotStartableError):
                return await self._begin(run, thread, found, active.attempt + 1)
        raise ContentionError(f"thread {run.thread_id}", _MAX_TRIES)

    async def _end_if_hopeless(
        self,
        run: RunRef,
        thread: ThreadRecord,
        active: ActiveRun,
        found: Versioned[RunRecord] | None,
    ) -> bool:
        reconciler = self._manager.reconciler
        if run.run_id in thread.cancels:
            await reconciler.seal(run, INTERRUPTED)
        elif found is None:
            await reconciler.dead_letter(run, "record_lost")
        elif active.is_held and (reason := await self._reason_to_end(active)):
            await reconciler.dead_letter(run, reason)
        else:
            return False
        await self._settle(run)
        return True

    async def _settle(self, run: RunRef) -> None:
        with suppress(RunNotFoundError):  # the record is lost, or the run is rolled back
            await self._manager.reconciler.settle(run)

    async def _reason_to_end(self, active: ActiveRun) -> str | None:
        # An outage lets leases lapse, too: whoever executes the run is asked before it is lost.
        is_others = active.worker != self.worker
        if is_others and await self._bridge.holders.is_claimed(
            active.run_id, within_s=self._probe_s
        ):
            raise RunNotStartableError(active.run_id, f"worker {active.worker} executes it")
        assistant = self._catalog.get(active.executor)
        if not assistant.may_restart:
            return "worker_lost"
        return "max_attempts" if active.losses + 1 >= assistant.max_attempts else None

    async def _begin(
        self,
        run: RunRef,
        thread: Versioned[ThreadRecord],
        found: Versioned[RunRecord],
        attempt: int,
    ) -> Known | None:
        starting = self._start(run, thread, found, attempt)
        try:
            if attempt == 1:
                # The first attempt appends nothing to the log, so it need not wait for the commit.
                known, _ = await asyncio.gather(starting, self._begin_attempt(run, attempt))
            else:
                known = await starting
                await self._begin_attempt(run, attempt)
        except (StreamTerminatedError, IllegalTransitionError):
            await self._settle(run)
            return None
        return known

    async def _start(
        self,
        run: RunRef,
        thread: Versioned[ThreadRecord],
        found: Versioned[RunRecord],
        attempt: int,
    ) -> Known:
        started = await self._manager.start(run, self.worker, attempt, known=thread)
        return Known(await self._mark_running(found, attempt), started)

    async def _begin_attempt(self, run: RunRef, attempt: int) -> None:
        try:
            await self._bridge.begin_attempt(run.run_id, attempt)
        except StreamNotFoundError:
            # Its creator died between the commit and the birth.
            await self._bridge.create(run.run_id, thread_id=run.thread_id)
            await self._bridge.begin_attempt(run.run_id, attempt)

    async def _mark_running(
        self, found: Versioned[RunRecord], attempt: int
    ) -> Versioned[RunRecord]:
        for _ in range(_MAX_TRIES):
            running = found.record.running(self.worker, attempt)
            try:
                return await self._manager.records.update_run(running, revision=found.revision)
            except StateConflictError:
                newer = await self._manager.records.find_run(running.run_id)
                if newer is None:
                    raise RunNotFoundError(running.run_id) from None
                found = newer
        raise ContentionError(f"the record of run {found.record.run_id}", _MAX_TRIES)
