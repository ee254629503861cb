"""Create the runs of crons when their time has come, as one of many processes.

A firing is handled in three steps: the run, the record with the next time, the next timer. Each
can be repeated, and the firing is acknowledged behind the last, so whoever dies is replaced.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

from bridge import BridgeError, FiredTimer, FiredTimers, RunBridge
from runs.crons.crons import CRON, Crons, TimedCron
from runs.crons.record import CronRecord
from runs.errors import (
    ContentionError,
    CronNotFoundError,
    IdempotencyKeyUsedError,
    RunsError,
    ThreadNotFoundError,
    UnreadableRecordError,
)
from runs.manager import RunManager
from runs.models import now

_LOG = logging.getLogger("jetrun.crons")

#: A process that has not handled a firing within this time is taken for dead.
_LEASE_S: Final = 30.0
_MAX_AT_ONCE: Final = 32
_RETRY_S: Final = 1.0
_WAIT_S: Final = 5.0


class CronFirings:
    """Handles the firings of all crons.

    Args:
        bridge: A started bridge.
        manager: Creates the runs.
        stale_s: How long a cron may be overdue before its timer is set again.
    """

    def __init__(self, bridge: RunBridge, manager: RunManager, *, stale_s: float) -> None:
        self._bridge = bridge
        self._manager = manager
        self._crons: Crons = manager.crons
        self._stale_s = stale_s
        self._reached = 0
        self._due: dict[str, datetime] = {}

    @asynccontextmanager
    async def going_on(self) -> AsyncGenerator[None]:
        """Handle firings for the length of a context."""
        tasks = [
            asyncio.create_task(self._again(self._serve), name="crons"),
            asyncio.create_task(self._again(self._keep_timers), name="cron-timers"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled():
                    task.result()

    async def _again(self, serve: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await serve()
            except (BridgeError, RunsError) as error:
                _LOG.warning("crons.interrupted", extra={"error": str(error)})
            await asyncio.sleep(_RETRY_S)

    async def _serve(self) -> None:
        firings = await self._bridge.timers.consumer(CRON, lease_s=_LEASE_S)
        try:
            while True:
                await self.handle(firings, wait_s=_WAIT_S)
        finally:
            await firings.close()

    async def handle(self, firings: FiredTimers, *, wait_s: float) -> None:
        """Handle what has fired; return after ``wait_s`` when nothing has.

        Raises:
            BridgeError: The firings cannot be read any more.
        """
        fired = await firings.fetch(_MAX_AT_ONCE, wait_s=wait_s)
        await asyncio.gather(*(self._handle(each) for each in fired))

    async def _handle(self, fired: FiredTimer) -> None:
        try:
            await self._fire(fired.key, TimedCron.decode(fired.payload).at)
        except UnreadableRecordError:
            _LOG.exception("cron.malformed", extra={"cron_id": fired.key})
            await fired.ack()  # nothing that a repeat would change
        except (BridgeError, RunsError) as exc:
            facts = {"cron_id": fired.key, "error": f"{type(exc).__name__}: {exc}"}
            _LOG.warning("cron.not_fired", extra=facts)
            await fired.nak(_RETRY_S)
        else:
            await fired.ack()

    async def _fire(self, cron_id: str, at: datetime) -> None:
        while True:
            found = await self._crons.find(cron_id)
            if found is None or found.record.next_at is None:
                return  # deleted, disabled or over meanwhile
            cron = found.record
            if at < found.record.next_at:
                await self._crons.set_timer(cron)  # handled already, or another time was set
                return
            if not await self._create_run(cron):
                return
            planned = cron.planned(max(now(), found.record.next_at))
            if await self._crons.write(found, planned):
                await self._crons.set_timer(planned)
                return

    async def _create_run(self, cron: CronRecord) -> bool:
        """Create the run of a firing; False when the cron has gone with its thread."""
        try:
            await self._manager.create(cron.due_run())
        except ThreadNotFoundError:
            with suppress(CronNotFoundError):
                await self._crons.delete(cron.cron_id)
            return False
        except IdempotencyKeyUsedError:
            return True  # it was created, and is gone again; or the cron has changed since
        except ContentionError:
            raise
        except RunsError as exc:
            facts = {"cron_id": cron.cron_id, "error": f"{type(exc).__name__}: {exc}"}
            _LOG.warning("cron.refused", extra=facts)
        return True

    async def _keep_timers(self) -> None:
        while True:
            await self.set_missing_timers()
            # Not all processes at the same moment.
            await asyncio.sleep(self._stale_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load

    async def set_missing_timers(self) -> None:
        """Set the timers of crons that are overdue: nobody may have set them.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        await self._read_changes()
        for cron_id, at in list(self._due.items()):
            if (now() - at).total_seconds() < self._stale_s:
                continue
            found = await self._crons.find(cron_id)
            if found is None:
                del self._due[cron_id]
            elif found.record.next_at == at:
                await self._crons.set_timer(found.record)

    async def _read_changes(self) -> None:
        while True:
            found, reached = await self._bridge.states.changed(CRON, after=self._reached)
            for each in found:
                cron = CronRecord.decode(each.value)
                self._due.pop(cron.cron_id, None)
                if cron.next_at is not None:
                    self._due[cron.cron_id] = cron.next_at
            if reached == self._reached:
                return
            self._reached = reached
