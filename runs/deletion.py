"""Delete runs and threads: stop, wait for the end, remove the record, remove the hot events.

Every step can be repeated, and each leaves a state from which a repeat goes on. A deleted thread is
gone for its users at once; workers finish what a crash leaves of it.
"""

import asyncio
from contextlib import suppress
from datetime import datetime

from bridge import RunBridge, RunRef, StreamNotFoundError, StreamTerminatedError
from runs.commands import Delete, Forget, RequestCancel
from runs.crons.crons import Crons
from runs.errors import RunNotFoundError
from runs.models import CancelAction, now
from runs.outcome import INTERRUPTED
from runs.reconciler import Reconciler
from runs.records import Records
from runs.sealing import wait_for_seal
from runs.steps import ThreadSteps
from runs.webhooks.announcing import Webhooks


class Deletion:
    """Removes runs and threads for good.

    Args:
        bridge: A started bridge.
        records: The stored records.
        steps: Commits what changes in threads.
        reconciler: Does what follows from it.
        crons: Those of a thread go with it.
        wait_s: Seconds that a worker gets to stop a run; then its log is sealed all the same.
    """

    def __init__(
        self,
        bridge: RunBridge,
        records: Records,
        steps: ThreadSteps,
        reconciler: Reconciler,
        crons: Crons,
        *,
        wait_s: float,
    ) -> None:
        self._bridge = bridge
        self._records = records
        self._steps = steps
        self._reconciler = reconciler
        self._crons = crons
        self._webhooks = Webhooks(bridge)
        self._wait_s = wait_s

    async def delete_run(self, run: RunRef) -> bool:
        """Delete a run with its record and its events; a sink that reads of it erases its file.

        Returns:
            Whether there was something to delete.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        found, owner = await asyncio.gather(
            self._records.find_run(run.run_id), self._bridge.find_thread(run.run_id)
        )
        known = owner if found is None else found.record.thread_id
        if known != run.thread_id:
            return False
        await self._stop(run)
        if await self._records.find_thread(run.thread_id) is not None:
            await self._steps.take(run.thread_id, Forget(run.run_id, now()))
        await self._remove(run)
        return True

    async def delete_thread(self, thread_id: str, *, idle_since: datetime | None = None) -> bool:
        """Delete a thread with all its runs and crons; its id is never free again.

        Args:
            thread_id: The thread.
            idle_since: Only if no run is under way, and nothing has changed after that instant.

        Returns:
            Whether there was such a thread to delete.

        Raises:
            UnavailableError: The server fell silent; once the wish is stored a worker finishes.
        """
        if await self._records.find_thread(thread_id) is None:
            return False
        taken = await self._steps.take(thread_id, Delete(now(), idle_since))
        if not taken.thread.deleting:
            return False
        await self._reconciler.apply(taken)
        for run_id in taken.thread.inflight_ids:
            await self._stop(RunRef(thread_id, run_id))
        for run_id in await self._bridge.list_runs(thread_id):
            await self._remove(RunRef(thread_id, run_id))
        if not taken.thread.temporary:  # those come and go by the thousand
            await self._crons.delete_of_thread(thread_id)
        await self._bridge.checkpoints.erase(thread_id)
        await self._records.remove_thread(thread_id)
        return True

    async def _stop(self, run: RunRef) -> None:
        thread = await self._records.find_thread(run.thread_id)
        if thread is None or not thread.record.has_inflight(run.run_id):
            return
        wish = RequestCancel(run.run_id, CancelAction.INTERRUPT, now())
        with suppress(RunNotFoundError):  # it has just ended
            await self._reconciler.apply(await self._steps.take(run.thread_id, wish))
        # Neither a worker that is gone nor a handler that does not listen can hold the deletion up.
        with suppress(StreamNotFoundError, StreamTerminatedError):  # somebody else deleted it
            try:
                async with asyncio.timeout(self._wait_s):
                    await wait_for_seal(self._bridge, run.run_id)
            except TimeoutError:
                await self._reconciler.seal(run, INTERRUPTED)
        with suppress(RunNotFoundError):  # it is rolled back, or deleted
            await self._reconciler.settle(run)

    async def _remove(self, run: RunRef) -> None:
        # The record first: without one the run is gone, and a repeat still finds the events.
        await self._records.remove_run(run.run_id)
        await self._webhooks.forget_closed(run.run_id)
        with suppress(StreamNotFoundError):
            await self._bridge.cleanup(run.run_id)
