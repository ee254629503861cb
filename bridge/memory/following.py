"""Follow one run of a memory log: a reader is a position and a wake-up, and copies nothing.

A reader that is so slow that events were evicted before it came to them gets a gap that counts
them, and goes on.
"""

from collections.abc import AsyncIterator
from typing import Final

from bridge.cursors import gap_of, judge_cursor
from bridge.events import (
    CANCELLED,
    END,
    HEARTBEAT,
    Batch,
    GapReason,
    ResumeResult,
    ResumeStatus,
    Signal,
    StreamGap,
    StreamItem,
)
from bridge.ids import EventId, parse_cursor
from bridge.memory.log import MemoryLog, RunLog
from bridge.stream_bridge import Push

MAX_ITEMS: Final = 500


class MemoryFollowing:
    """One reader of one run; see :class:`bridge.stream_bridge.Following`."""

    def __init__(
        self, log: MemoryLog, run: RunLog, last_event_id: str | None, heartbeat_interval: float
    ) -> None:
        cursor = parse_cursor(last_event_id)
        found = log.find(cursor.stream_seq) if isinstance(cursor, EventId) else None
        earliest, latest = run.first.event_id, run.last.event_id
        self._resume = judge_cursor(run.run, cursor, found, earliest)
        self._gap = gap_of(run.run, last_event_id, self._resume, earliest=earliest, latest=latest)
        self._run = run
        self._heartbeat_s = heartbeat_interval
        self._handled = last_event_id
        # From here on every event counts: one evicted before it is read is told as a gap.
        is_resumed = self._resume.status is ResumeStatus.RESUMED
        self._next_seq = self._resume.position.run_seq + 1 if is_resumed else earliest.run_seq
        self._is_cancelled = False

    @property
    def resume(self) -> ResumeResult:
        """What became of the cursor."""
        return self._resume

    def tap(self, push: Push) -> None:
        """Do nothing: batches are as quick, because nothing is copied into them."""

    def cancel(self) -> None:
        """Let the reader have what is there, then ``CANCELLED``."""
        self._is_cancelled = True
        self._run.wake()

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield what is waiting; see :class:`bridge.stream_bridge.Following`."""
        while True:
            batch = self._take()
            if batch:
                yield batch
                if isinstance(batch[-1], Signal):
                    return
            elif not await self._run.wait(self._heartbeat_s):
                yield [HEARTBEAT]

    def _take(self) -> list[StreamItem]:
        run = self._run
        items: list[StreamItem] = [*self._take_gaps()]
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

    def _take_gaps(self) -> list[StreamGap]:
        run, gaps = self._run, []
        if self._gap is not None:
            gaps.append(self._gap)
            self._gap = None
        missing = run.first.run_seq - self._next_seq
        if missing > 0:
            gaps.append(
                StreamGap(
                    run.run.run_id,
                    self._handled,
                    run.first.id,
                    run.last.id,
                    missing,
                    GapReason.EVICTED,
                )
            )
            self._next_seq = run.first.run_seq
        return gaps
