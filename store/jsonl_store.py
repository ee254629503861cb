"""An event store that writes the archive's files itself, without a log: for one process.

The lock of the archive keeps a second writer out, so no sequence is given twice. Writes run one
after another in a thread of their own: a caller that is cancelled changes nothing for the others.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, ParamSpec, Self, TypeVar

from bridge import EventId, NewEvent, RunRef, StreamEvent, StreamNotFoundError
from bridge.errors import StreamTerminatedError
from bridge.events import DELETED, STATUS_OF_EVENT
from store.event_store import RunEventStore
from store.file_records import FileRecords
from store.jsonl import replace_file
from store.layout import ArchiveLayout
from store.lock import ArchiveLock
from store.merging import Records, RunSpan
from store.page import RecordPage
from store.placing import deletion_of, end_event, place_events, record_of, refuse_ended
from store.reader import ArchiveReader
from store.record import Record
from store.record_names import event_type
from store.run_files import RunFiles
from store.settings import ArchiveSettings

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: Threads whose last sequence is remembered; that of others is read again from their files.
_MAX_THREADS: Final = 10_000


class JsonlRunEventStore(RunEventStore):
    """Writes and reads the files of one archive; an async context manager.

    Args:
        root: The data directory; it is created when absent. No sink may write it.
        settings: How many files stay open.
    """

    def __init__(self, root: Path, settings: ArchiveSettings | None = None) -> None:
        self._layout = ArchiveLayout(root.absolute())
        self._settings = settings or ArchiveSettings()
        self._lock = ArchiveLock(self._layout.lock)
        self._reader = ArchiveReader(self._layout.root)
        self._records = FileRecords(self._reader)
        self._last_seqs: OrderedDict[str, int] = OrderedDict()

    async def __aenter__(self) -> Self:
        """Take the archive's lock.

        Raises:
            ArchiveLockedError: Another process writes this archive.
        """
        self._layout.root.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        self._files = RunFiles(self._layout, self._settings)
        self._thread = ThreadPoolExecutor(1, "event-store")
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._files.close()
        self._lock.release()

    async def _append(self, run: RunRef, events: Sequence[NewEvent]) -> list[Record]:
        return await self._in_thread(self._store, run, events)

    async def _append_if_absent(self, run: RunRef, event: NewEvent) -> tuple[Record, bool]:
        return await self._in_thread(self._store_if_absent, run, event)

    async def _end(self, run: RunRef) -> Record:
        return await self._in_thread(self._store_end, run)

    async def _delete(self, run: RunRef) -> int:
        return await self._in_thread(self._erase, run)

    async def _delete_thread(self, thread_id: str) -> int:
        return await self._in_thread(self._erase_thread, thread_id)

    async def _spans(self, thread_id: str) -> Sequence[RunSpan]:
        return await self._records.spans(thread_id)

    def _ascending(self, run: RunRef, after_seq: int) -> Records:
        return self._records.ascending(run, after_seq)

    def _descending(self, run: RunRef, page: RecordPage) -> Records:
        return self._records.descending(run, page.before_seq)

    async def _in_thread(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))

    def _store(self, run: RunRef, events: Sequence[NewEvent]) -> list[Record]:
        if self._layout.thread_deleted(run.thread_id).exists():
            raise StreamTerminatedError(run.run_id, DELETED)
        last = self._reader.find_last_event(run)
        refuse_ended(run, "" if last is None else last.event)
        placed = place_events(
            run,
            events,
            last_seq=self._last_seq(run.thread_id),
            last_run_seq=0 if last is None else last.run_seq,
        )
        self._files.append({run: placed})
        self._remember(placed[-1])
        return [record_of(event) for event in placed[-len(events) :]]

    def _store_if_absent(self, run: RunRef, event: NewEvent) -> tuple[Record, bool]:
        for known in self._reader.read_run(run):
            if known.event_type == event.event:
                return known.model_copy(update={"event_type": event_type(event.event)}), False
        return self._store(run, [event])[0], True

    def _store_end(self, run: RunRef) -> Record:
        last = self._reader.find_last_event(run)
        if last is None or last.event == DELETED:
            raise StreamNotFoundError(run.run_id)
        return (
            record_of(last) if last.event in STATUS_OF_EVENT else self._store(run, [end_event()])[0]
        )

    def _erase(self, run: RunRef) -> int:
        last = self._reader.find_last_event(run)
        if last is None or last.event == DELETED:
            return 0
        place = EventId(self._last_seq(run.thread_id) + 1, last.run_seq + 1)
        marker = deletion_of(run, place)
        self._files.erase(marker)
        self._remember(marker)
        return last.run_seq

    def _erase_thread(self, thread_id: str) -> int:
        tombstone = self._layout.thread_deleted(thread_id)
        tombstone.parent.mkdir(parents=True, exist_ok=True)
        replace_file(tombstone, b"{}\n")
        return sum(self._erase(run) for run in self._layout.runs(thread_id))

    def _last_seq(self, thread_id: str) -> int:
        known = self._last_seqs.get(thread_id)
        if known is None:
            tails = [self._reader.find_last_event(run) for run in self._layout.runs(thread_id)]
            known = max((tail.event_id.stream_seq for tail in tails if tail is not None), default=0)
        return known

    def _remember(self, event: StreamEvent) -> None:
        self._last_seqs[event.thread_id] = event.event_id.stream_seq
        self._last_seqs.move_to_end(event.thread_id)
        if len(self._last_seqs) > _MAX_THREADS:
            self._last_seqs.popitem(last=False)
