"""Keeps crons: their records, by compare-and-set, and the timer of each.

The record counts. Its timer follows from it: it is set behind every change, and whoever fires
crons sets again what a crash left unset.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from bridge import RunBridge, StateConflictError, check_id, new_id
from runs.assistant_book import Chosen
from runs.crons.queries import CronQuery
from runs.crons.record import CronRecord
from runs.crons.schedule import Schedule
from runs.errors import ContentionError, CronNotFoundError, TooManyCronsError
from runs.models import Frozen, RunSpec, now
from runs.records import Versioned
from runs.settings import RunSettings

#: The kind of their records and of their timers; the key is the cron's id.
CRON: Final = "cron"
#: What an update may change beside the options of its runs.
TIMING: Final = frozenset({"schedule", "timezone", "end_time", "enabled"})


class TimedCron(Frozen):
    """What a timer brings back beside the cron's id.

    Attributes:
        at: The time that it was set to: the server's clock decides, not that of who handles it.
    """

    at: datetime


class Crons:
    """The crons of all users.

    Args:
        bridge: A started bridge.
        settings: How many there may be, and how often one may fire.
        check: Returns what executes such runs, or raises when none can ever be created.
    """

    def __init__(
        self,
        bridge: RunBridge,
        settings: RunSettings,
        check: Callable[[RunSpec], Awaitable[Chosen]],
    ) -> None:
        self._bridge = bridge
        self._settings = settings
        self._check = check

    async def create(
        self,
        spec: RunSpec,
        schedule: str,
        *,
        timezone: str | None = None,
        end_time: datetime | None = None,
        enabled: bool = True,
    ) -> CronRecord:
        """Have runs created by a schedule.

        Args:
            spec: What each of them is created from; its ``user_id`` owns the cron.
            schedule: A cron expression of five fields, or of six with the seconds first.
            timezone: Where it is read; ``None`` is UTC.
            end_time: It does not fire later.
            enabled: Whether it fires at all.

        Raises:
            RunsError: No run can ever be created so, or the thread is not there.
            InvalidScheduleError: The schedule cannot be read, or is too dense.
            TooManyCronsError: There are as many as there may be.
            StreamCapacityExceededError: There is no room; call again, or delete it.
            UnavailableError: The server fell silent; the cron may exist.
        """
        assistant = (await self._check(spec)).assistant
        at = now()
        cron = CronRecord(
            cron_id=new_id(),
            assistant_id=assistant.assistant_id,
            executor=assistant.name,
            schedule=schedule,
            timezone=timezone,
            end_time=end_time,
            enabled=enabled,
            spec=spec,
            created_at=at,
            updated_at=at,
        )
        self._check_schedule(cron)
        await self._check_room(spec.user_id)
        cron = cron.planned(at)
        await self._bridge.states.create(CRON, cron.cron_id, cron.encode())
        await self.set_timer(cron)
        return cron

    async def get(self, cron_id: str, *, user_id: str | None = None) -> CronRecord:
        """Return a cron.

        Raises:
            CronNotFoundError: There is none, or it is someone else's.
        """
        return (await self._get(cron_id, user_id)).record

    async def update(
        self, cron_id: str, changes: Mapping[str, Any], *, user_id: str | None = None
    ) -> CronRecord:
        """Change a cron; runs that it has created stay as they are.

        Args:
            cron_id: The cron.
            changes: New values of fields in ``TIMING``, and of fields of the spec of its runs.
            user_id: Who asks.

        Raises:
            ValueError: There is no such field, or the value does not fit; nothing was changed.
            RunsError, BridgeError: As for :meth:`create`; nothing was changed.
            CronNotFoundError: There is none, or it is someone else's.
        """
        timing = {name: changes[name] for name in changes.keys() & TIMING}
        options = {name: changes[name] for name in changes.keys() - TIMING}
        for _ in range(self._settings.max_conflicts):
            found = await self._get(cron_id, user_id)
            spec = found.record.spec.with_changes(options)
            if options:  # what cannot run any more can still be disabled
                await self._check(spec)
            cron = found.record.with_changes({**timing, "spec": spec, "updated_at": now()})
            if timing:
                self._check_schedule(cron)
                cron = cron.planned(cron.updated_at)
            if await self.write(found, cron):
                await self.set_timer(cron)
                return cron
        raise ContentionError(f"cron {cron_id}", self._settings.max_conflicts)

    async def delete(self, cron_id: str, *, user_id: str | None = None) -> None:
        """Remove a cron; runs that it has created stay.

        Raises:
            CronNotFoundError: There is none, or it is someone else's.
        """
        for _ in range(self._settings.max_conflicts):
            found = await self._get(cron_id, user_id)
            with suppress(StateConflictError):
                await self._bridge.states.delete(CRON, cron_id, revision=found.revision)
                await self._bridge.timers.cancel(CRON, cron_id)
                return
        raise ContentionError(f"cron {cron_id}", self._settings.max_conflicts)

    async def delete_of_thread(self, thread_id: str) -> None:
        """Remove the crons of a thread, whoever owns them; repeating it does no harm.

        Raises:
            UnavailableError: The server fell silent; those left go when they fire next.
        """
        for cron in await self.search(CronQuery(thread_id=thread_id)):
            with suppress(CronNotFoundError):
                await self.delete(cron.cron_id)

    async def search(self, query: CronQuery) -> list[CronRecord]:
        """Return all crons that fit, in order; on a cluster as they were a moment ago."""
        return query.ordered([each for each in await self._all() if query.admits(each)])

    async def find(self, cron_id: str) -> Versioned[CronRecord] | None:
        """Return a cron and its revision; ``None`` when there is none."""
        found = await self._bridge.states.find(CRON, check_id("cron_id", cron_id))
        if found is None:
            return None
        return Versioned(CronRecord.decode(found.value), found.revision)

    async def write(self, found: Versioned[CronRecord], cron: CronRecord) -> bool:
        """Store a cron over what was found; False when that had changed meanwhile."""
        value = cron.encode()
        try:
            await self._bridge.states.update(CRON, cron.cron_id, value, revision=found.revision)
        except StateConflictError:
            return False
        return True

    async def set_timer(self, cron: CronRecord) -> None:
        """Have the server fire a cron when its record says; one that does not fire has none."""
        if cron.next_at is None:
            await self._bridge.timers.cancel(CRON, cron.cron_id)
            return
        payload = TimedCron(at=cron.next_at).encode()
        await self._bridge.timers.set(CRON, cron.cron_id, at=cron.next_at, payload=payload)

    async def _get(self, cron_id: str, user_id: str | None) -> Versioned[CronRecord]:
        found = await self.find(cron_id)
        if found is None or user_id not in (None, found.record.user_id):
            raise CronNotFoundError(cron_id)
        return found

    async def _all(self) -> list[CronRecord]:
        keys = await self._bridge.states.keys(CRON)
        found = await self._bridge.states.find_many(CRON, keys)
        return [CronRecord.decode(each.value) for each in found]

    def _check_schedule(self, cron: CronRecord) -> None:
        schedule = Schedule(cron.schedule, cron.timezone)
        schedule.check_interval(self._settings.min_cron_interval_s, after=cron.updated_at)

    async def _check_room(self, user_id: str | None) -> None:
        crons = await self._all()
        if len(crons) >= self._settings.max_crons:
            raise TooManyCronsError("the deployment", len(crons))
        own = sum(each.user_id == user_id for each in crons)
        if user_id is not None and own >= self._settings.max_crons_per_user:
            raise TooManyCronsError("the user", own)
