"""Remove the threads that stand in line for it.

The line is a job queue: it survives restarts, and any number of workers share it. A thread that is
not due yet goes back to it with a delay.
"""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

from bridge import BridgeError, Job, RunBridge
from runs.deletion import Deletion
from runs.errors import RunsError, UnreadableRecordError
from runs.models import now
from runs.records import Records
from runs.retirement_line import LINE, Place
from runs.settings import RunSettings
from runs.thread import ThreadRecord

_LOG = logging.getLogger("jetrun.worker")

#: A deletion that a worker does not finish within this time is begun again by another one.
_LEASE_S: Final = 120.0
_MAX_AT_ONCE: Final = 8
_RETRY_S: Final = 5.0


class Retirement:
    """Removes the threads that stand in line, as one of many workers.

    Args:
        bridge: A started bridge.
        records: The stored threads.
        deletion: Removes them.
        settings: Says how long an ended stateless run is kept.
    """

    def __init__(
        self,
        bridge: RunBridge,
        records: Records,
        deletion: Deletion,
        settings: RunSettings,
    ) -> None:
        self._bridge = bridge
        self._records = records
        self._deletion = deletion
        self._settings = settings

    async def serve(self, wait_s: float) -> None:
        """Work until cancelled.

        Args:
            wait_s: Seconds of one wait for threads.

        Raises:
            BridgeError: The line could not be opened, or cannot be read any more.
        """
        consumer = await self._bridge.jobs.consumer(LINE, lease_s=_LEASE_S)
        try:
            while True:
                jobs = await consumer.fetch(_MAX_AT_ONCE, wait_s=wait_s)
                await asyncio.gather(*(self._handle(job) for job in jobs))
        finally:
            await consumer.close()

    async def _handle(self, job: Job) -> None:
        try:
            delay_s = await self._remove_if_due(job)
        except (BridgeError, RunsError) as exc:
            facts = {"thread_id": job.run_id, "error": f"{type(exc).__name__}: {exc}"}
            _LOG.warning("thread.not_removed", extra=facts)
            delay_s = _RETRY_S
        if delay_s > 0:
            await job.nak(delay_s)
        else:
            await job.ack()

    async def _remove_if_due(self, job: Job) -> float:
        thread_id = job.run_id
        found = await self._records.find_thread(thread_id)
        if found is None or not (found.record.temporary or found.record.deleting):
            return 0
        delay_s = self._delay_s(found.record, _since(job))
        if delay_s <= 0:
            await self._deletion.delete_thread(thread_id)
        return delay_s

    def _delay_s(self, thread: ThreadRecord, since: datetime) -> float:
        age_s = (now() - since).total_seconds()
        if thread.deleting:
            # Whoever deleted it is probably at work.
            return self._settings.delete_wait_s - age_s
        if thread.inflight_ids:
            return self._settings.temporary_ttl_s or _RETRY_S
        return self._settings.temporary_ttl_s - age_s


def _since(job: Job) -> datetime:
    try:
        return Place.decode(job.payload).since
    except UnreadableRecordError:
        # Not ours. What it names may be due all the same.
        return datetime.min.replace(tzinfo=UTC)
