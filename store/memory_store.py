"""An event store in the memory of one process, for tests and for embedding; gone with it."""

from bisect import bisect_right
from collections.abc import Sequence

from bridge import NewEvent, RunRef, StreamNotFoundError, StreamTerminatedError
from bridge.events import DELETED, STATUS_OF_EVENT, TERMINAL_EVENTS
from store.event_store import RunEventStore
from store.merging import Records, RunSpan
from store.page import RecordPage
from store.placing import end_event, place_events, record_of, refuse_ended
from store.record import Record
from store.record_names import event_type


class MemoryRunEventStore(RunEventStore):
    """Keeps all records until they are deleted; its calls belong on one event loop."""

    def __init__(self) -> None:
        self._runs: dict[RunRef, list[Record]] = {}
        self._last_names: dict[RunRef, str] = {}
        self._deleted_threads: set[str] = set()
        self._last_seq = 0

    async def _append(self, run: RunRef, events: Sequence[NewEvent]) -> list[Record]:
        return self._store(run, events)

    def _store(self, run: RunRef, events: Sequence[NewEvent]) -> list[Record]:
        if run.thread_id in self._deleted_threads:
            raise StreamTerminatedError(run.run_id, DELETED)
        refuse_ended(run, self._last_names.get(run, ""))
        records = self._runs.setdefault(run, [])
        placed = place_events(run, events, last_seq=self._last_seq, last_run_seq=len(records))
        fresh = [record_of(event) for event in placed]
        records += fresh
        self._last_seq = fresh[-1].seq
        self._last_names[run] = placed[-1].event
        return fresh[-len(events) :]

    async def _append_if_absent(self, run: RunRef, event: NewEvent) -> tuple[Record, bool]:
        # Nothing else runs in between: reading memory never waits.
        known = await self._find_of_type(run, event_type(event.event))
        return (self._store(run, [event])[0], True) if known is None else (known, False)

    async def _end(self, run: RunRef) -> Record:
        records = self._runs.get(run)
        if not records:
            raise StreamNotFoundError(run.run_id)
        if self._last_names[run] in STATUS_OF_EVENT:
            return records[-1]
        return self._store(run, [end_event()])[0]

    async def _delete(self, run: RunRef) -> int:
        self._last_names[run] = DELETED
        return len(self._runs.pop(run, ()))

    async def _delete_thread(self, thread_id: str) -> int:
        self._deleted_threads.add(thread_id)
        runs = [run for run in self._runs if run.thread_id == thread_id]
        return sum([await self._delete(run) for run in runs])

    async def _spans(self, thread_id: str) -> Sequence[RunSpan]:
        return [
            RunSpan(run, records[0].seq, records[-1].seq, self._last_names[run] in TERMINAL_EVENTS)
            for run, records in self._runs.items()
            if run.thread_id == thread_id
        ]

    async def _ascending(self, run: RunRef, after_seq: int) -> Records:
        records = self._runs.get(run, [])
        for index in range(bisect_right(records, after_seq, key=_seq), len(records)):
            yield records[index]

    async def _descending(self, run: RunRef, page: RecordPage) -> Records:
        for record in reversed(self._runs.get(run, ())):
            if page.before_seq is None or record.seq < page.before_seq:
                yield record


def _seq(record: Record) -> int:
    return record.seq
