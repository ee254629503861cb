"""Thread and run records as compare-and-set state: read at the leader, changed by revision."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from bridge import RunBridge, StateConflictError, StateRecord
from runs.errors import ContentionError
from runs.models import RunRecord
from runs.read_model.queries import Row
from runs.thread import ThreadRecord

THREAD: Final = "thread"
RUN: Final = "run"
_MAX_CONFLICTS: Final = 16

Record_co = TypeVar("Record_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Versioned(Generic[Record_co]):
    """A record and the revision it was read at; revision 0 is not stored yet."""

    record: Record_co
    revision: int


class Records:
    """The stored records of all threads and runs."""

    def __init__(self, bridge: RunBridge) -> None:
        self._states = bridge.states

    async def find_thread(self, thread_id: str) -> Versioned[ThreadRecord] | None:
        """Return the thread, or ``None`` when nobody created it or it was deleted."""
        found = await self._states.find(THREAD, thread_id)
        if found is None:
            return None
        return Versioned(ThreadRecord.decode(found.value), found.revision)

    async def find_run(self, run_id: str) -> Versioned[RunRecord] | None:
        """Return the run's record, or ``None`` when there is none."""
        found = await self._states.find(RUN, run_id)
        if found is None:
            return None
        return Versioned(RunRecord.decode(found.value), found.revision)

    async def find_runs(self, run_ids: Sequence[str]) -> list[RunRecord]:
        """Return the records of these runs, on a cluster as they were a moment ago.

        Absent ones are left out.
        """
        found = await self._states.find_many(RUN, run_ids)
        return [RunRecord.decode(each.value) for each in found]

    async def read_threads(self, rows: Sequence[Row]) -> list[ThreadRecord]:
        """Return threads that were found, each at least as new as it was found, in their order."""
        found = await self._read(THREAD, rows)
        return [ThreadRecord.decode(each.value) for each in found]

    async def read_runs(self, rows: Sequence[Row]) -> list[RunRecord]:
        """Return runs that were found, each at least as new as it was found, in their order."""
        found = await self._read(RUN, rows)
        return [RunRecord.decode(each.value) for each in found]

    async def _read(self, kind: str, rows: Sequence[Row]) -> list[StateRecord]:
        stored = await self._states.find_many(kind, [row.id for row in rows])
        known = {record.key: record for record in stored}
        for row in rows:
            record = known.get(row.id)
            if record is None or record.revision < row.revision:
                # Deleted since, or a lagging replica answered: the leader knows.
                newest = await self._states.find(kind, row.id)
                known.pop(row.id, None)
                if newest is not None:
                    known[row.id] = newest
        return [known[row.id] for row in rows if row.id in known]

    async def changed_threads(self, *, after: int) -> tuple[list[Versioned[ThreadRecord]], int]:
        """Return a page of the threads that changed after a revision; see ``StateRecords``."""
        found, reached = await self._states.changed(THREAD, after=after)
        threads = [Versioned(ThreadRecord.decode(each.value), each.revision) for each in found]
        return threads, reached

    async def changed_runs(self, *, after: int) -> tuple[list[Versioned[RunRecord]], int]:
        """Return a page of the runs that changed after a revision; see ``StateRecords``."""
        found, reached = await self._states.changed(RUN, after=after)
        runs = [Versioned(RunRecord.decode(each.value), each.revision) for each in found]
        return runs, reached

    async def write_thread(self, thread: ThreadRecord, *, revision: int) -> Versioned[ThreadRecord]:
        """Store a thread over ``revision``; 0 creates it.

        Raises:
            StateConflictError: It changed since, or an earlier try of this very write got through
                unnoticed; nothing was stored now. Read again and decide again.
        """
        key, value = thread.thread_id, thread.encode()
        if revision == 0:
            return Versioned(thread, await self._states.create(THREAD, key, value))
        stored = await self._states.update(THREAD, key, value, revision=revision)
        return Versioned(thread, stored)

    async def create_run(self, run: RunRecord) -> Versioned[RunRecord]:
        """Store the record of a new run.

        Raises:
            StateConflictError: The run id was used before.
            InvalidContentError: The run's input is not JSON; nothing was stored.
        """
        try:
            return Versioned(run, await self._states.create(RUN, run.run_id, run.encode()))
        except StateConflictError:
            found = await self.find_run(run.run_id)
            if found is not None and found.record == run:
                return found  # an earlier try of this write got through unnoticed
            raise

    async def update_run(self, run: RunRecord, *, revision: int) -> Versioned[RunRecord]:
        """Store a changed record.

        Raises:
            StateConflictError: As for :meth:`write_thread`.
        """
        stored = await self._states.update(RUN, run.run_id, run.encode(), revision=revision)
        return Versioned(run, stored)

    async def remove_run(self, run_id: str) -> None:
        """Remove a run's record for good, whatever it says; without one, nothing changes.

        Raises:
            ContentionError: It changed all the time.
            UnavailableError: The server fell silent; call again.
        """
        await self._remove(RUN, run_id)

    async def remove_thread(self, thread_id: str) -> None:
        """Remove a thread's record for good; as :meth:`remove_run`."""
        await self._remove(THREAD, thread_id)

    async def _remove(self, kind: str, key: str) -> None:
        for _ in range(_MAX_CONFLICTS):
            found = await self._states.find(kind, key)
            if found is None:
                return
            with suppress(StateConflictError):
                await self._states.delete(kind, key, revision=found.revision)
        raise ContentionError(f"the record of {kind} {key}", _MAX_CONFLICTS)

    async def delete_run(self, run: Versioned[RunRecord]) -> None:
        """Remove the record for good.

        Raises:
            StateConflictError: It changed since it was read.
        """
        await self._states.delete(RUN, run.record.run_id, revision=run.revision)
