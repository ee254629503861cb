"""The event store over log and archive: any number of processes write, every read is complete.

Writes go to the log; what is in the files is read from there, and what is not there yet from the
log. So a reader sees every write that returned before, however far the sink is behind.
"""

import asyncio
import hashlib
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from bridge import (
    ConflictError,
    EventId,
    JetStreamBridge,
    NewEvent,
    RunRef,
    StateConflictError,
    StreamNotFoundError,
    StreamTerminatedError,
)
from bridge.events import DELETED, TERMINAL_EVENTS
from store.errors import ErasureDelayedError
from store.event_store import RunEventStore
from store.file_records import FileRecords
from store.merging import Records, RunSpan
from store.page import RecordPage
from store.placing import record_of, stream_event
from store.reader import ArchiveReader
from store.record import Record
from store.record_names import event_type
from store.tiers import RunTiers

_Published = TypeVar("_Published")

#: The log knows an event id for 120 s. A search that took longer than this is made again, so that
#: the write after it, with all its repeats, falls into that time.
_MAX_SEARCH_S: Final = 60.0
_PAGE: Final = 500
#: Says that a thread was deleted, so that no run can be made in it again.
ERASED: Final = "erased"
#: How long a deletion waits for the sink to erase the files; normally it takes milliseconds.
_ERASE_WAIT_S: Final = 10.0
_ERASE_POLL_S: Final = 0.02


class JetStreamRunEventStore(RunEventStore):
    """Puts to a log and reads log and archive; keeps nothing.

    Args:
        bridge: The log, open.
        root: The data directory of the archive that belongs to it.
    """

    def __init__(self, bridge: JetStreamBridge, root: Path) -> None:
        self._bridge = bridge
        self._files = FileRecords(ArchiveReader(root))
        # The log tells processes that race for a type apart, not the callers of this one.
        self._racing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def _append(self, run: RunRef, events: Sequence[NewEvent]) -> list[Record]:
        await self._ensure_run(run)
        ids = await self._born(run, partial(self._bridge.publish_many, run.run_id, events))
        return [
            record_of(stream_event(run, event, _parsed(event_id)))
            for event, event_id in zip(events, ids, strict=True)
        ]

    async def _append_if_absent(self, run: RunRef, event: NewEvent) -> tuple[Record, bool]:
        digest = hashlib.sha256(f"{run.run_id}:{event.event}".encode()).hexdigest()
        # Whoever races uses the same id, so that the log keeps the first one alone.
        once = event._replace(event_id=f"once-{digest}")
        async with self._racing.setdefault(digest, asyncio.Lock()):
            return await self._append_once(run, once)

    async def _append_once(self, run: RunRef, once: NewEvent) -> tuple[Record, bool]:
        wanted = event_type(once.event)
        while True:
            began = time.monotonic()
            known = await self._find_of_type(run, wanted)
            if known is not None:
                return known, False
            if time.monotonic() - began < _MAX_SEARCH_S:
                break
        await self._ensure_run(run)
        event_id = await self._born(run, partial(self._bridge.publish_event, run.run_id, once))
        stored = await self._bridge.find_event(run.run_id, event_id)
        if stored is None:
            raise StreamNotFoundError(run.run_id)
        return record_of(stored), self._bridge.has_written(stored)

    async def _end(self, run: RunRef) -> Record:
        run_id = run.run_id
        if await self._bridge.find_thread(run_id) != run.thread_id:
            raise StreamNotFoundError(run_id)
        event_id = await self._bridge.publish_end(run_id)
        stored = await self._bridge.find_event(run_id, event_id)
        if stored is None:
            raise StreamNotFoundError(run.run_id)
        return record_of(stored)

    async def look_at_tiers(self, thread_id: str, run_id: str) -> RunTiers:
        """Tell how much of a run the log holds, and how much the archive.

        Raises:
            UnavailableError: The server fell silent.
            ColdTierError: The run's file is there and cannot be read.
        """
        run = RunRef.checked(thread_id, run_id)
        last = await self._files.find_last(run)
        archived_to = 0 if last is None else last.run_seq
        try:
            # Asked last: the archive never has more than the log had.
            logged = await self._bridge.status(run_id)
        except StreamNotFoundError:
            return RunTiers(None, None, archived_to)
        first, newest = _parsed(logged.first_id), _parsed(logged.last_id)
        return RunTiers(first.run_seq, newest.run_seq, archived_to)

    async def _delete(self, run: RunRef) -> int:
        count = await self._forget(run)
        await self._wait_for_files(run.thread_id, [run])
        return count

    async def _delete_thread(self, thread_id: str) -> int:
        with suppress(StateConflictError):  # it was deleted before
            await self._bridge.states.create(ERASED, thread_id, b"{}")
        count = 0
        erased: set[RunRef] = set()
        # A put that passed the check just before may have made one more run.
        while left := await self._runs(thread_id) - erased:
            for run in left:
                count += await self._forget(run)
            erased |= left
        await self._wait_for_files(thread_id, erased)
        return count

    async def _runs(self, thread_id: str) -> set[RunRef]:
        logged = await self._bridge.list_runs(thread_id)
        archived = await self._files.runs(thread_id)
        return {*archived, *(RunRef(thread_id, run_id) for run_id in logged)}

    async def _forget(self, run: RunRef) -> int:
        if await self._bridge.find_thread(run.run_id) != run.thread_id:
            return 0
        try:
            count = (await self._bridge.status(run.run_id)).event_count
            await self._bridge.cleanup(run.run_id)
        except StreamNotFoundError:
            return 0
        return count

    async def _wait_for_files(self, thread_id: str, runs: Collection[RunRef]) -> None:
        deadline = time.monotonic() + _ERASE_WAIT_S
        while left := [run for run in runs if not await self._is_erased(run)]:
            if time.monotonic() > deadline:
                raise ErasureDelayedError(thread_id, len(left))
            await asyncio.sleep(_ERASE_POLL_S)

    async def _is_erased(self, run: RunRef) -> bool:
        # What a sink is about to write of a run that has no file yet, its marker will replace.
        last = await self._files.find_last(run)
        return last is None or last.event_type == DELETED

    async def _born(self, run: RunRef, publish: Callable[[], Awaitable[_Published]]) -> _Published:
        """Publish; finish the birth of a run that another process has announced, and no more."""
        try:
            return await publish()
        except StreamNotFoundError:
            await self._bridge.create(run.run_id, thread_id=run.thread_id)
            return await publish()

    async def _ensure_run(self, run: RunRef) -> None:
        owner = await self._bridge.find_thread(run.run_id)
        if owner is None:
            if await self._bridge.states.find(ERASED, run.thread_id) is not None:
                raise StreamTerminatedError(run.run_id, DELETED)
            await self._bridge.create(run.run_id, thread_id=run.thread_id)
        elif owner != run.thread_id:
            raise ConflictError(f"run {run.run_id} exists under another thread")

    async def _spans(self, thread_id: str) -> Sequence[RunSpan]:
        spans = {span.run: span for span in await self._files.spans(thread_id)}
        for run_id in await self._bridge.list_runs(thread_id):
            run = RunRef(thread_id, run_id)
            archived = spans.get(run)
            if archived is None or not archived.is_ended:
                # The log may hold more of it than the file; how much, its turn will tell.
                first_seq = 0 if archived is None else archived.first_seq
                spans[run] = RunSpan(run, first_seq, sys.maxsize, is_ended=False)
        return list(spans.values())

    async def _ascending(self, run: RunRef, after_seq: int) -> Records:
        if await self._bridge.is_deleted(run.run_id):
            return  # its file may still be there
        seq, run_seq = after_seq, 0
        may_have_moved = True
        while True:
            async for record in self._files.ascending(run, seq):
                yield record
                seq, run_seq = record.seq, record.run_seq
            events = await self._bridge.read_after(run, run_seq, stream_seq=seq, limit=_PAGE)
            if not events or events[-1].event == DELETED:
                return
            if events[0].run_seq > run_seq + 1 and may_have_moved:
                may_have_moved = False  # those in between may have left the log for the file
                continue
            may_have_moved = True
            for event in events:
                yield record_of(event)
            seq, run_seq = events[-1].event_id

    async def _descending(self, run: RunRef, page: RecordPage) -> Records:
        archived = await self._files.find_last(run)
        archived_seq = 0 if archived is None else archived.seq
        if archived is None or archived.event_type not in TERMINAL_EVENTS:
            for record in await self._newest(run, archived_seq, page):
                yield record
        if await self._bridge.is_deleted(run.run_id):
            return
        async for record in self._files.descending(run, page.before_seq):
            if record.seq <= archived_seq:
                yield record

    async def _newest(self, run: RunRef, after_seq: int, page: RecordPage) -> Iterable[Record]:
        """Return what a page takes of what is not in the file yet, newest first."""
        newest: deque[Record] = deque(maxlen=page.limit)
        async with aclosing(self._ascending(run, after_seq)) as records:
            async for record in records:
                if page.takes(record):
                    newest.append(record)
        return reversed(newest)


def _parsed(event_id: str) -> EventId:
    stream_seq, run_seq = event_id.split("-")
    return EventId(int(stream_seq), int(run_seq))
