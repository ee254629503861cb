"""Follow one run of a memory log: a reader is a position and a wake-up, and copies nothing.

A reader that is so slow that events were evicted before it came to them reads them from the
archive; those that are not there are counted by a gap, and it goes on.
"""

from collections.abc import AsyncGenerator
from typing import Final

from bridge.cold_tier import ColdTier, find_archived
from bridge.cursors import BEFORE_ALL, gap_of, judge_cursor
from bridge.events import (
    CANCELLED,
    END,
    HEARTBEAT,
    Batch,
    GapReason,
    ResumeResult,
    ResumeStatus,
    Signal,
    StreamEvent,
    StreamGap,
    StreamItem,
)
from bridge.ids import Cursor, EventId, parse_cursor
from bridge.memory.log import MemoryLog
from bridge.memory.run_log import RunLog
from bridge.stream_bridge import Push

MAX_ITEMS: Final = 500


class MemoryFollowing:
    """One reader of one run; see :class:`bridge.stream_bridge.Following`.

    Make it with :meth:`open`.

    Args:
        log: All runs.
        run: The run.
        cold: The archive.
        heartbeat_interval: Seconds of silence after which a heartbeat is yielded.
    """

    def __init__(
        self, log: MemoryLog, run: RunLog, cold: ColdTier, heartbeat_interval: float
    ) -> None:
        self._log = log
        self._run = run
        self._cold = cold
        self._heartbeat_s = heartbeat_interval
        self._resume = ResumeResult(ResumeStatus.FRESH, BEFORE_ALL)
        self._gap: StreamGap | None = None
        self._handled: str | None = None
        self._next_seq = 1
        self._is_cancelled = False

    @property
    def resume(self) -> ResumeResult:
        """What became of the cursor."""
        return self._resume

    def tap(self, push: Push) -> None:
        """Do nothing: batches are as quick, because nothing is copied into them."""

    async def open(self, last_event_id: str | None) -> None:
        """Find the place to start from.

        Raises:
            ColdTierError: The archive cannot be read.
        """
        run, cursor = self._run, parse_cursor(last_event_id)
        # In this order: evicted between the two, the cursor's event would seem unknown.
        found = await self._find(cursor)
        earliest = await self._earliest()
        self._resume = judge_cursor(run.run, cursor, found, earliest)
        self._gap = gap_of(
            run.run, last_event_id, self._resume, earliest=earliest, latest=run.last.event_id
        )
        self._handled = last_event_id
        # From here on every event counts: one evicted before it is read is looked for.
        is_resumed = self._resume.status is ResumeStatus.RESUMED
        self._next_seq = self._resume.position.run_seq + 1 if is_resumed else earliest.run_seq

    async def _earliest(self) -> EventId:
        first = self._run.first.event_id
        if first.run_seq > 1:
            archived = await self._cold.read(self._run.run, after_run_seq=0, limit=1)
            if archived and archived[0].run_seq < first.run_seq:
                return archived[0].event_id
        return first

    async def _find(self, cursor: Cursor) -> StreamEvent | None:
        if not isinstance(cursor, EventId):
            return None
        found, last = self._log.find(cursor.stream_seq), self._run.last
        if found is None and last.event_id == cursor:
            found = last  # the run has left the log
        if found is None:
            found = await find_archived(self._cold, self._run.run, cursor.run_seq)
        return found

    def cancel(self) -> None:
        """Let the reader have what is there, then ``CANCELLED``."""
        self._is_cancelled = True
        self._run.wake()

    async def batches(self) -> AsyncGenerator[Batch]:
        """Yield what is waiting; see :class:`bridge.stream_bridge.Following`."""
        while True:
            batch = await self._take_archived() or self._take()
            if batch:
                yield batch
                if isinstance(batch[-1], Signal):
                    return
            elif not await self._run.wait(self._heartbeat_s):
                yield [HEARTBEAT]

    async def _take_archived(self) -> list[StreamItem]:
        if self._next_seq >= self._run.first.run_seq:
            return []
        archived = await self._cold.read(
            self._run.run, after_run_seq=self._next_seq - 1, limit=MAX_ITEMS
        )
        items: list[StreamItem] = []
        for event in archived:
            if event.run_seq >= self._run.first.run_seq:
                break
            items += self._take_gaps(event)
            items.append(event)
            self._next_seq = event.run_seq + 1
            self._handled = event.id
        return items

    def _take(self) -> list[StreamItem]:
        run = self._run
        items: list[StreamItem] = [*self._take_gaps(run.first)]
        # A closing bridge gives all that is left at once, so that its end is bounded.
        limit = len(run.events) if self._is_cancelled else MAX_ITEMS
        stop = min(self._next_seq + limit, run.last.run_seq + 1)
        if stop > self._next_seq:
            items.extend(run.events[seq] for seq in range(self._next_seq, stop))
            self._next_seq = stop
            self._handled = run.events[stop - 1].id
        if stop > run.last.run_seq:
            if run.terminal is not None:
                items.append(END)
            elif self._is_cancelled:
                items.append(CANCELLED)
        return items

    def _take_gaps(self, available: StreamEvent) -> list[StreamGap]:
        """Tell what is missing before an event that is the next one to be had."""
        run, gaps = self._run, []
        if self._gap is not None:
            gaps.append(self._gap)
            self._gap = None
        missing = available.run_seq - self._next_seq
        if missing > 0:
            gaps.append(
                StreamGap(
                    run.run.run_id,
                    self._handled,
                    available.id,
                    run.last.id,
                    missing,
                    GapReason.EVICTED,
                )
            )
            self._next_seq = available.run_seq
        return gaps
