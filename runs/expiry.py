"""Delete ended runs and threads at rest when their time is over, as their users could themselves.

A run whose values are its thread's stays as long as the thread, and a thread with a run under way
is never touched. Any number of processes may do this; doing it twice does no harm.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress

from bridge import BridgeError, RunRef, UnavailableError
from runs.deletion import Deletion
from runs.errors import RunsError
from runs.read_model import ReadModel
from runs.read_model.queries import Expired
from runs.records import Records
from runs.settings import ExpirySettings

_LOG = logging.getLogger("jetrun.expiry")


class Expiry:
    """Looks for what has expired, and deletes it.

    Args:
        model: Finds it.
        records: The stored records, which decide.
        deletion: Deletes it.
        settings: When it has expired.
    """

    def __init__(
        self, model: ReadModel, records: Records, deletion: Deletion, settings: ExpirySettings
    ) -> None:
        self._model = model
        self._records = records
        self._deletion = deletion
        self._settings = settings

    @asynccontextmanager
    async def going_on(self) -> AsyncGenerator[None]:
        """Delete what expires, for the length of a context; without a limit do nothing."""
        if not self._settings.is_any_set:
            yield
            return
        task = asyncio.create_task(self._go_on(), name="expiry")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

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

        Returns:
            How many runs and threads went.

        Raises:
            UnavailableError: The server fell silent; what is left goes another time.
            RunsError: The search is not possible; likewise.
        """
        limits = self._settings
        threads = await self._model.expired_threads(
            ttl_s=limits.idle_thread_ttl_s,
            max_threads=limits.max_threads,
            limit=limits.max_per_step,
        )
        deleted = 0
        for each in threads:
            deleted += await self._try(each, self._delete_thread(each))
        runs = await self._model.expired_runs(
            ttl_s=limits.ended_run_ttl_s,
            max_runs=limits.max_ended_runs,
            limit=limits.max_per_step - deleted,
        )
        for each in runs:
            deleted += await self._try(each, self._delete_run(each))
        return deleted

    async def _try(self, expired: Expired, deletion: Awaitable[bool]) -> bool:
        try:
            return await deletion
        except UnavailableError:
            raise
        except (BridgeError, RunsError) as error:
            # It must not keep the others waiting.
            facts = {"expired": expired.id, "error": f"{type(error).__name__}: {error}"}
            _LOG.warning("expiry.not_deleted", extra=facts)
            return False

    async def _delete_thread(self, expired: Expired) -> bool:
        return await self._deletion.delete_thread(expired.thread_id, idle_since=expired.since)

    async def _delete_run(self, expired: Expired) -> bool:
        thread = await self._records.find_thread(expired.thread_id)
        outputs = None if thread is None else thread.record.outputs
        if outputs is not None and outputs.run_id == expired.id:
            return False
        return await self._deletion.delete_run(RunRef(expired.thread_id, expired.id))
