"""Limits on how many runs of one user, or of one assistant, may be under way at one time.

Who holds a limit has a state record that names its runs. A run is entered before its thread lets it
in, by compare-and-set, so gateways that race cannot both take the last place; it is taken out after
it has ended. What a crash leaves in the record is found when it counts: a full record is compared
with the runs themselves before anybody is refused. Without limits nothing is read or written.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from pydantic import AwareDatetime, Field

from bridge import BridgeError, StateConflictError, StateRecord, StateRecords, UnavailableError
from runs.errors import ContentionError, RunsError, TooManyRunsError
from runs.models import Frozen, RunRecord, now
from runs.records import Records
from runs.settings import RunSettings

#: The kind of these records.
QUOTA: Final = "quota"
#: A run that its thread does not know is a create under way, until it is older than this.
_CREATE_AGE: Final = timedelta(seconds=60)


class CountedRun(Frozen):
    """One run that counts.

    Attributes:
        since: When it was entered.
    """

    thread_id: str
    since: AwareDatetime


class Quota(Frozen):
    """The runs of one holder that are under way, by their ids."""

    runs: dict[str, CountedRun] = Field(default_factory=dict)


class _Limit(NamedTuple):
    """What bounds a run: whose limit it is, in words, where its record is, and how many."""

    holder: str
    key: str
    max_runs: int


class Quotas:
    """Counts runs under way against their limits.

    Args:
        states: The records that processes agree on.
        records: The runs and threads that are compared with.
        settings: The limits; any process may end a run, so all should know the same.
    """

    def __init__(self, states: StateRecords, records: Records, settings: RunSettings) -> None:
        self._states = states
        self._records = records
        self._settings = settings

    @asynccontextmanager
    async def counted(self, run: RunRecord) -> AsyncGenerator[None]:
        """Count a run that the body lets in; when the body fails, it counts no longer.

        Raises:
            TooManyRunsError: A limit is reached; the run counts nowhere.
            ContentionError: Too many lost races; it counts nowhere.
            UnavailableError: The server fell silent; what counts is found out later.
        """
        try:
            for limit in self._limits(run):
                await self._enter(limit, run)
            yield
        except UnavailableError:
            raise  # it may live
        except (RunsError, BridgeError):
            await self.leave(run)
            raise

    async def leave(self, run: RunRecord) -> None:
        """Count a run no longer; repeating it changes nothing.

        Raises:
            UnavailableError: The server fell silent; it is found out later.
        """
        for limit in self._limits(run):
            with suppress(ContentionError):  # it is found out when the record is full
                await self._remove(limit, run.run_id)

    def _limits(self, run: RunRecord) -> list[_Limit]:
        limits: list[_Limit] = []
        per_user, per_assistant = (
            self._settings.max_runs_per_user,
            self._settings.max_runs_per_assistant,
        )
        if per_user is not None and run.user_id is not None:
            # A user's id may be any text, and need not be known to those who see subjects.
            digest = sha256(run.user_id.encode()).hexdigest()[:32]
            limits.append(_Limit("user", f"user-{digest}", per_user))
        if per_assistant is not None:
            key = f"assistant-{run.executor}"
            limits.append(_Limit(f"assistant {run.executor}", key, per_assistant))
        return limits

    async def _enter(self, limit: _Limit, run: RunRecord) -> None:
        place = CountedRun(thread_id=run.thread_id, since=now())
        for _ in range(self._settings.max_conflicts):
            found = await self._states.find(QUOTA, limit.key)
            counted = _runs_of(found)
            if run.run_id in counted:
                return
            if len(counted) >= limit.max_runs:
                gone = await self._gone(counted)
                if len(counted) - len(gone) >= limit.max_runs:
                    raise TooManyRunsError(limit.holder, limit.max_runs)
                counted = {run_id: each for run_id, each in counted.items() if run_id not in gone}
            if await self._write(limit, {**counted, run.run_id: place}, found):
                return
        raise ContentionError(f"the runs of {limit.holder}", self._settings.max_conflicts)

    async def _remove(self, limit: _Limit, run_id: str) -> None:
        for _ in range(self._settings.max_conflicts):
            found = await self._states.find(QUOTA, limit.key)
            counted = _runs_of(found)
            if counted.pop(run_id, None) is None or await self._write(limit, counted, found):
                return
        raise ContentionError(f"the runs of {limit.holder}", self._settings.max_conflicts)

    async def _write(
        self, limit: _Limit, runs: dict[str, CountedRun], found: StateRecord | None
    ) -> bool:
        value = Quota(runs=runs).encode()
        try:
            if found is None:
                await self._states.create(QUOTA, limit.key, value)
            else:
                await self._states.update(QUOTA, limit.key, value, revision=found.revision)
        except StateConflictError:
            return False
        return True

    async def _gone(self, counted: dict[str, CountedRun]) -> set[str]:
        """Return the runs that count and are not under way: what crashes have left."""
        known = {run.run_id: run for run in await self._records.find_runs(list(counted))}
        gone = {run_id for run_id, run in known.items() if run.status.is_final}
        # A create under way has no record yet, or none that its thread knows.
        old = {run_id for run_id, each in counted.items() if now() - each.since > _CREATE_AGE}
        doubtful = old & known.keys() - gone
        inflight = await asyncio.gather(*(self._find_inflight(known[each]) for each in doubtful))
        return gone | (doubtful - set(inflight)) | (old - known.keys())

    async def _find_inflight(self, run: RunRecord) -> str | None:
        thread = await self._records.find_thread(run.thread_id)
        is_inflight = thread is not None and thread.record.has_inflight(run.run_id)
        return run.run_id if is_inflight else None


def _runs_of(found: StateRecord | None) -> dict[str, CountedRun]:
    return {} if found is None else Quota.decode(found.value).runs
