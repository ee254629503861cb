"""Delete ended runs and threads at rest when their time is over, as their users could themselves.

A run whose values are its thread's stays as long as the thread, and a thread with a run under way
is never touched. Any number of processes may do this; doing it twice does no harm.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from bridge import BridgeError, RunRef, UnavailableError
from bridge.beside import beside
from runs.errors import RunsError
from runs.manager import RunManager
from runs.read_model import ReadModel
from runs.read_model.queries import Expired, ThreadLimits
from runs.settings import ExpirySettings
from runs.thread import ThreadRecord

_LOG = logging.getLogger("jetrun.expiry")


class Expiry:
    """Looks for what has expired, and deletes it.

    Args:
        model: Finds it.
        manager: Knows the records, which decide, and deletes.
        settings: When it has expired.
        trim: Removes the history before a thread's newest state; ``None`` where nobody could.
    """

    def __init__(
        self,
        model: ReadModel,
        manager: RunManager,
        settings: ExpirySettings,
        trim: Callable[[ThreadRecord], Awaitable[None]] | None = None,
    ) -> None:
        self._model = model
        self._manager = manager
        self._settings = settings
        self._trim = trim
        #: What could not be deleted lately: however much it is, it must not hide the others.
        self._failed: set[str] = set()

    @asynccontextmanager
    async def going_on(self) -> AsyncGenerator[None]:
        """Delete what expires, for the length of a context."""
        async with beside(self._go_on(), "expiry"):
            yield

    async def _go_on(self) -> None:
        while True:
            deleted = 0
            try:
                deleted = await self.step()
            except (BridgeError, RunsError) as error:
                _LOG.warning("expiry.failed", extra={"error": str(error)})
            if deleted < self._settings.max_per_step:
                # Not all processes at the same moment.
                pause_s = self._settings.interval_s * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load
                await asyncio.sleep(pause_s)

    async def step(self) -> int:
        """Delete what has expired, at most ``max_per_step``, the oldest first.

        What could not be deleted is tried again when all others were.

        Returns:
            How many runs and threads went, or lost their history.

        Raises:
            UnavailableError: The server fell silent; what is left goes another time.
            RunsError: The search is not possible; likewise.
        """
        limits = self._settings
        of_threads = ThreadLimits(
            limits.idle_thread_ttl_s, limits.idle_thread_strategy, limits.max_threads
        )
        deleted = 0
        threads = await self._model.expired_threads(
            of_threads, limit=limits.max_per_step + len(self._failed)
        )
        for each in self._next(threads, limits.max_per_step):
            deleted += await self._try(each, self._end_thread(each))
        room = limits.max_per_step - deleted
        runs = await self._model.expired_runs(
            ttl_s=limits.ended_run_ttl_s,
            max_runs=limits.max_ended_runs,
            limit=room + len(self._failed),
        )
        for each in self._next(runs, room):
            deleted += await self._try(each, self._delete_run(each))
        return deleted

    def _next(self, expired: Sequence[Expired], count: int) -> Sequence[Expired]:
        untried = [each for each in expired if each.id not in self._failed]
        if not untried:
            self._failed.difference_update(each.id for each in expired)
        return (untried or expired)[:count]

    async def _try(self, expired: Expired, deletion: Awaitable[bool]) -> bool:
        try:
            return await deletion
        except UnavailableError:
            raise
        except (BridgeError, RunsError) as error:
            # It must not keep the others waiting.
            facts = {"expired": expired.id, "error": f"{type(error).__name__}: {error}"}
            _LOG.warning("expiry.not_deleted", extra=facts)
            self._failed.add(expired.id)
            return False

    async def _end_thread(self, expired: Expired) -> bool:
        if expired.strategy == "keep_latest":
            return await self._trim_thread(expired)
        deletion = self._manager.deletion
        return await deletion.delete_thread(expired.thread_id, idle_since=expired.since)

    async def _trim_thread(self, expired: Expired) -> bool:
        thread = await self._manager.get_thread(expired.thread_id)
        if thread.inflight_ids or thread.updated_at > expired.since or thread.is_trimmed:
            return False
        if self._trim is not None:
            await self._trim(thread)
        return await self._manager.note_trimmed(expired.thread_id, expired.since)

    async def _delete_run(self, expired: Expired) -> bool:
        thread = await self._manager.records.find_thread(expired.thread_id)
        outputs = None if thread is None else thread.record.outputs
        if outputs is not None and outputs.run_id == expired.id:
            return False
        return await self._manager.deletion.delete_run(RunRef(expired.thread_id, expired.id))
