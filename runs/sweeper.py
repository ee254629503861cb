"""Find the threads that a crash left with something to do, and have it done.

Only changes are read. A thread whose state asks for something, and that nobody has changed for a
while, is repaired; once for each of its states, because doing it twice would not help either.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from bridge import BridgeError, UnavailableError
from runs.errors import RunsError
from runs.reconciler import Reconciler
from runs.records import Records
from runs.transitions import outstanding

_LOG = logging.getLogger("jetrun.worker")


class Sweeper:
    """Looks after all threads, as one of many.

    Args:
        records: The stored threads.
        reconciler: Repairs them.
        stale_s: Age of a step that somebody left half done, before others finish it.
    """

    def __init__(self, records: Records, reconciler: Reconciler, *, stale_s: float) -> None:
        self._records = records
        self._reconciler = reconciler
        self._stale_s = stale_s
        self._reached = 0
        # By thread: the revision at which something was left to do at the last look.
        self._suspects: dict[str, int] = {}

    async def serve(self) -> None:
        """Sweep until cancelled; at once, then again and again."""
        await self._try(self.sweep_all)
        while True:
            # Not all sweepers at the same moment.
            await asyncio.sleep(self._stale_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
            await self._try(self.sweep)

    async def _try(self, sweep: Callable[[], Awaitable[None]]) -> None:
        try:
            await sweep()
        except (BridgeError, RunsError) as exc:
            _LOG.warning("worker.sweep_failed", extra={"error": str(exc)})

    async def sweep_all(self) -> None:
        """Repair every thread that something is left to do for, however young.

        Raises:
            UnavailableError: The server fell silent; call again, what is not done is remembered.
        """
        await self._read_changes()
        await self._repair(self._suspects)

    async def sweep(self) -> None:
        """Repair the threads that were left with something to do at the last sweep, and still are.

        Raises:
            UnavailableError: The server fell silent; call again, what is not done is remembered.
        """
        before = dict(self._suspects)
        await self._read_changes()
        await self._repair(dict(before.items() & self._suspects.items()))

    async def _read_changes(self) -> None:
        while True:
            threads, reached = await self._records.changed_threads(after=self._reached)
            for thread in threads:
                self._suspects.pop(thread.record.thread_id, None)
                if outstanding(thread.record):
                    self._suspects[thread.record.thread_id] = thread.revision
            if reached == self._reached:
                return
            self._reached = reached

    async def _repair(self, suspects: dict[str, int]) -> None:
        for thread_id, revision in list(suspects.items()):
            found = await self._records.find_thread(thread_id)
            if found is not None and found.revision == revision:
                await self._repair_one(thread_id)
            del self._suspects[thread_id]

    async def _repair_one(self, thread_id: str) -> None:
        try:
            await self._reconciler.repair(thread_id)
        except UnavailableError:
            raise
        except (BridgeError, RunsError) as exc:
            # It must not keep the others waiting; the next change of the thread is the next try.
            facts = {"thread_id": thread_id, "error": f"{type(exc).__name__}: {exc}"}
            _LOG.warning("thread.not_repaired", extra=facts)
