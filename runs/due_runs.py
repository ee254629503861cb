"""Let runs begin whose time has come: the firings of their timers, shared by all workers."""

import asyncio
import logging
from typing import Final

from bridge import BridgeError, FiredTimer, RunRef, Timers
from runs.errors import RunsError, ThreadNotFoundError, UnreadableRecordError
from runs.manager import RunManager
from runs.run_timers import RUN_TIMER, TimedRun

_LOG = logging.getLogger("jetrun.worker")

#: A worker that has not put a run in line within this time is taken for dead.
_LEASE_S: Final = 30.0
_MAX_AT_ONCE: Final = 32
_RETRY_S: Final = 1.0


class DueRuns:
    """Puts runs in line when their time has come, as one of many workers.

    Args:
        timers: Fires them.
        manager: Commits that they are due.
    """

    def __init__(self, timers: Timers, manager: RunManager) -> None:
        self._timers = timers
        self._manager = manager

    async def serve(self, wait_s: float) -> None:
        """Work until cancelled.

        Args:
            wait_s: Seconds of one wait for firings.

        Raises:
            BridgeError: The firings could not be opened, or cannot be read any more.
        """
        firings = await self._timers.consumer(RUN_TIMER, lease_s=_LEASE_S)
        try:
            while True:
                fired = await firings.fetch(_MAX_AT_ONCE, wait_s=wait_s)
                await asyncio.gather(*(self._handle(each) for each in fired))
        finally:
            await firings.close()

    async def _handle(self, fired: FiredTimer) -> None:
        try:
            run = RunRef(TimedRun.decode(fired.payload).thread_id, fired.key)
        except UnreadableRecordError:
            _LOG.error("timer.malformed", extra={"run_id": fired.key})
            await fired.ack()  # not ours
            return
        try:
            await self._manager.become_due(run)
        except ThreadNotFoundError:
            await fired.ack()  # deleted meanwhile
        except (BridgeError, RunsError) as exc:
            facts = {"run_id": fired.key, "error": f"{type(exc).__name__}: {exc}"}
            _LOG.warning("run.not_begun", extra=facts)
            await fired.nak(_RETRY_S)
        else:
            await fired.ack()
