"""Bring events into the files of their runs, with what is missing read from the log first.

When :meth:`Archiver.write` returns, its events are durable in the archive, once and in order. The
marker of a deleted run takes the place of all that its file held.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import ParamSpec, Protocol, TypeVar

from bridge import ForeignMessageError, InvalidIdError, NewerVersionError, RunRef, StreamEvent
from bridge.events import DELETED
from store.layout import ArchiveLayout
from store.mark import ArchiveMark
from store.run_file import Tail
from store.run_files import RunFiles
from store.settings import ArchiveSettings

_LOG = logging.getLogger(__name__)

_P = ParamSpec("_P")
_R = TypeVar("_R")


class History(Protocol):
    """What the archiver asks of the log."""

    async def read_after(
        self, run: RunRef, run_seq: int, *, stream_seq: int = 0, limit: int = 500
    ) -> list[StreamEvent]:
        """Return the run's next events after ``run_seq``, ascending; none when it has no more."""


class Archiver:
    """Writes events to one archive; only the holder of its lock may make one.

    Args:
        history: The log, to fill holes from.
        layout: The archive; its root directory must exist.
        settings: Sizes and limits.

    Raises:
        ArchiveMarkError: The archive's mark is damaged.
    """

    def __init__(self, history: History, layout: ArchiveLayout, settings: ArchiveSettings) -> None:
        self._history = history
        self._max_hole_events = settings.max_hole_events
        self._mark = ArchiveMark(layout.mark)
        self._mark_interval_s = settings.mark_interval_s
        self._marked_at = time.monotonic()
        self._reached_seq = self._mark.read()
        self._files = RunFiles(layout, settings)
        self._thread = ThreadPoolExecutor(1, "archive")

    @property
    def reached_seq(self) -> int:
        """A sequence that the archive's log has reached; 0 when nothing is known of it."""
        return self._reached_seq

    async def write(self, events: Sequence[StreamEvent]) -> None:
        """Make events durable in the files of their runs; those that are there are passed over.

        Args:
            events: Of any runs, in any order.

        Raises:
            LogReplacedError: They come from another log than what the archive holds.
            OSError: The disk refused; call again with the same events.
            BridgeError: A hole could not be read; call again with the same events.
        """
        groups = await self._without_invalid_ids(_by_run(events))
        names = iter(groups)
        while part := list(islice(names, self._files.max_runs)):
            await self._write_part({run: groups[run] for run in part})
        self._reached_seq = max([self._reached_seq, *(one.event_id.stream_seq for one in events)])
        if time.monotonic() - self._marked_at >= self._mark_interval_s:
            await self._in_thread(self._mark.write, self._reached_seq)
            self._marked_at = time.monotonic()

    async def archived_run_seq(self, run: RunRef) -> int:
        """Return the run_seq up to which a run's file holds every event that the log had.

        Raises:
            OSError: The file cannot be read.
        """
        return (await self._in_thread(self._files.find_tail, run)).run_seq

    async def adopt_compressed(self, run: RunRef, size: int) -> bool:
        """Let a run's draft take the place of its file, if that has not changed since.

        Args:
            run: The run.
            size: How many bytes the file had.

        Raises:
            OSError: The disk refused; the run is complete in one form or the other.
        """
        return await self._in_thread(self._files.adopt_compressed, run, size)

    async def keep_end(self, run: RunRef) -> bool:
        """Let a run leave the archive, but for its last line.

        Returns:
            Whether there was more than that.

        Raises:
            OSError: The disk refused; some of the run's copies may be gone.
        """
        return await self._in_thread(self._files.keep_end, run)

    async def forget(self, run: RunRef) -> None:
        """Remove a run's file; errors as for :meth:`keep_end`."""
        await self._in_thread(self._files.forget, run)

    async def _without_invalid_ids(
        self, groups: Mapping[RunRef, Sequence[StreamEvent]]
    ) -> dict[RunRef, Sequence[StreamEvent]]:
        valid: dict[RunRef, Sequence[StreamEvent]] = {}
        for run, events in groups.items():
            try:
                valid[RunRef.checked(*run)] = events
            except InvalidIdError as error:
                # Somebody published to a subject that the bridge does not make.
                await self._in_thread(self._files.refuse, events, error.code, str(error))
        return valid

    async def _write_part(self, groups: Mapping[RunRef, Sequence[StreamEvent]]) -> None:
        tails = await self._in_thread(self._files.tails, groups)
        lasting = {}
        for run, events in groups.items():
            if events[-1].event == DELETED:
                await self._in_thread(self._files.erase, events[-1])
                continue
            if _has_hole(events, tails[run]):
                await self._catch_up(run, events, tails[run])
            lasting[run] = events
        await self._in_thread(self._files.append, lasting)

    async def _catch_up(self, run: RunRef, events: Sequence[StreamEvent], tail: Tail) -> None:
        """Write a run from the log, piece by piece, until the last of ``events`` is in the file."""
        last_run_seq = events[-1].run_seq
        while tail.run_seq < last_run_seq:
            # Once the log has dropped the run, what was delivered is all there is.
            known = await self._read_after(run, tail) or events
            if known[-1].event == DELETED:
                await self._in_thread(self._files.erase, known[-1])
                return
            await self._note_gaps(run, known, tail.run_seq)
            await self._in_thread(self._files.append, {run: known}, is_gap_known=True)
            tail = Tail(*known[-1].event_id)

    async def _read_after(self, run: RunRef, tail: Tail) -> Sequence[StreamEvent]:
        try:
            return await self._history.read_after(
                run, tail.run_seq, stream_seq=tail.seq, limit=self._max_hole_events
            )
        except NewerVersionError:
            raise  # what follows may not be written without it, and a later version reads it
        except ForeignMessageError as error:
            # One run that cannot be read must not keep all others from the archive.
            _LOG.error("sink.run.unreadable", extra={"run_id": run.run_id, "error": str(error)})
            return ()

    async def _note_gaps(self, run: RunRef, events: Sequence[StreamEvent], after: int) -> None:
        for event in events:
            if event.run_seq > after + 1:
                gap = {"after": after, "before": event.run_seq}
                _LOG.error("sink.events.lost", extra={"run_id": run.run_id, **gap})
                await self._in_thread(self._files.add_gap, run, **gap)
            after = max(after, event.run_seq)

    async def _in_thread(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Wait for a write under way, which a cancelled caller may have left, and close all files.

        The archive's lock may be released after this and not before.

        Raises:
            OSError: The mark could not be noted; no event depends on it.
        """
        self._thread.shutdown()
        self._files.close()
        self._mark.write(self._reached_seq)


def _by_run(events: Sequence[StreamEvent]) -> dict[RunRef, list[StreamEvent]]:
    groups: dict[RunRef, list[StreamEvent]] = {}
    for event in events:
        groups.setdefault(RunRef(event.thread_id, event.run_id), []).append(event)
    for group in groups.values():
        group.sort(key=_by_position)
    return groups


def _by_position(event: StreamEvent) -> tuple[int, int]:
    return event.event_id.run_seq, event.event_id.stream_seq


def _has_hole(events: Sequence[StreamEvent], tail: Tail) -> bool:
    reached = tail.run_seq
    for event in events:
        if event.run_seq > reached + 1:
            return True
        reached = max(reached, event.run_seq)
    return False
