"""Follow one run from any cursor: replay, then live, in order, without gaps.

A follower keeps nothing that outlives it. It trusts only the continuity of run_seq: a live event
that is the next one is taken, an older one dropped, and a later one sends it to the log. What the
log no longer holds is read from the archive; what neither tier holds is counted and told in-band.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Final

from bridge.cursors import BEFORE_ALL, gap_of, judge_cursor
from bridge.errors import BridgeClosedError, StreamNotFoundError
from bridge.events import (
    CANCELLED,
    DELETED,
    END,
    HEARTBEAT,
    Batch,
    GapReason,
    ResumeResult,
    ResumeStatus,
    StreamEvent,
    StreamGap,
    StreamItem,
)
from bridge.history import RunHistory
from bridge.ids import Cursor, EventId, parse_cursor
from bridge.metrics.following import Fall
from bridge.run_log import RunLog
from bridge.stream_bridge import Push
from bridge.stream_reader import MAX_PAGE_MESSAGES
from bridge.tail import Reader, Tail

#: The first page is small, so that its first event comes soon; later ones grow.
FIRST_PAGE_EVENTS: Final = 32


class Follower:
    """One reader of one run; make it with :meth:`open`.

    Args:
        history: The run's events in all tiers.
        run_log: The run's events in the log.
        tail: The run's live feed.
        inbox: This reader's place at the feed.
        heartbeat_s: Seconds of silence after which a heartbeat is yielded.
    """

    def __init__(
        self,
        history: RunHistory,
        run_log: RunLog,
        tail: Tail,
        inbox: Reader,
        heartbeat_s: float,
    ) -> None:
        self._history = history
        self._log = run_log
        self._tail = tail
        self._inbox = inbox
        self._heartbeat_s = heartbeat_s
        self._waiting: list[StreamItem] = []
        self._over = False
        self._caught_up = False
        self._page_events = FIRST_PAGE_EVENTS
        self._went_to_log_at = float("-inf")
        self._settle_s = 0.0
        self._resume = ResumeResult(ResumeStatus.FRESH, BEFORE_ALL)

    @property
    def resume(self) -> ResumeResult:
        """What became of the cursor."""
        return self._resume

    def tap(self, push: Push) -> None:
        """Hand live events over at once where that is possible; see :class:`bridge.Following`."""
        self._inbox.push = push

    def open_at_birth(self) -> None:
        """Start before the first event: this reader was there earlier, and all waits for it."""
        self._go_to_log()
        self._caught_up = True

    async def open(self, last_event_id: str | None) -> None:
        """Find the place to start from, and read the first page.

        Raises:
            StreamNotFoundError: Nobody created the run, or it was deleted.
            UnavailableError: The server fell silent.
            ColdTierError: The archive cannot be read.
        """
        cursor, found = parse_cursor(last_event_id), None
        self._go_to_log()
        if isinstance(cursor, EventId):
            events, self._caught_up = await self._log.read(cursor.stream_seq, FIRST_PAGE_EVENTS)
            if events and events[0].event_id == cursor and events[-1].event != DELETED:
                self._resume_at(events[0])
                self._accept(events[1:])
                return
            # A replica that lags may lack the cursor's event, or hold what is trimmed already.
            # The cursor's is looked for first: trimmed between the two, it would seem unknown.
            found = await self._history.find(cursor)
            first = await self._log.find_next(1)
            events, self._caught_up = [] if first is None else [first], False
        else:
            events, self._caught_up = await self._log.read(1, FIRST_PAGE_EVENTS)
        if events and events[-1].event == DELETED:
            raise StreamNotFoundError(self._log.run.run_id)
        earliest = await self._history.earliest(events)
        if found is None and (behind := await self._find_behind_hole(cursor, earliest)):
            events, earliest = [behind], behind.event_id
        self._resume = judge_cursor(self._log.run, cursor, found, earliest)
        await self._start(found, last_event_id, earliest)
        if events and events[0].run_seq <= self._inbox.position.run_seq + 1:
            self._accept(events)
        else:
            self._caught_up = False  # the archive comes first

    def _go_to_log(self) -> None:
        self._went_to_log_at = asyncio.get_running_loop().time()
        self._settle_s = self._tail.settle_s

    def _resume_at(self, event: StreamEvent) -> None:
        self._resume = ResumeResult(ResumeStatus.RESUMED, event.event_id)
        self._inbox.position = event.event_id
        if event.is_terminal:
            self._end()

    async def _find_behind_hole(self, cursor: Cursor, earliest: EventId) -> StreamEvent | None:
        """Return the event behind a hole of the log, if the cursor's stood in it.

        A server that was killed has removed whole blocks of messages, and may have forgotten that
        it removed those before them: what is trimmed is then no longer what comes first.
        """
        if not isinstance(cursor, EventId) or cursor < earliest:
            return None
        around = await self._log.find_around(cursor.stream_seq)
        if around is None:
            return None
        before, behind = around
        return behind if before.run_seq < cursor.run_seq < behind.run_seq else None

    async def _start(
        self, found: StreamEvent | None, requested: str | None, earliest: EventId
    ) -> None:
        if self._resume.status is ResumeStatus.RESUMED:
            self._inbox.position = self._resume.position
            if found is not None:
                self._resume_at(found)
            return
        # What is retained follows, wherever it begins.
        self._inbox.position = _just_before(earliest)
        if self._resume.status is not ResumeStatus.FRESH:
            latest = await self._history.last()
            gap = gap_of(
                self._log.run,
                requested,
                self._resume,
                earliest=earliest,
                latest=latest.event_id,
            )
            if gap is not None:
                self._tell(gap)

    async def batches(self) -> AsyncGenerator[Batch]:
        """Yield what is waiting, in order; see :class:`bridge.Following`."""
        try:
            while True:
                self._take_live()
                if self._waiting:
                    batch, self._waiting = self._waiting, []
                    yield batch
                if self._over:
                    return
                if self._must_read():
                    async for heartbeat in self._read():
                        yield heartbeat
                elif self._inbox.is_closed:
                    yield [CANCELLED]
                    return
                elif not await self._hear():
                    yield [HEARTBEAT]
        except StreamNotFoundError:
            self._tell(self._gone())
            yield [*self._waiting, END]
        except BridgeClosedError:
            # It closed under a read; what was read before has been handed out.
            yield [CANCELLED]

    def _must_read(self) -> bool:
        return (self._inbox.is_stale or not self._caught_up) and not self._inbox.is_closed

    def _take_live(self) -> None:
        self._accept(self._inbox.take())

    def _accept(self, events: Iterable[StreamEvent]) -> None:
        """Queue the events that come next; a hole sends the reader to the log."""
        for event in events:
            if self._over or event.run_seq <= self._inbox.position.run_seq:
                continue
            if event.run_seq != self._inbox.position.run_seq + 1:
                self._inbox.mark_stale(Fall.LOST)
                return
            self._inbox.position = event.event_id
            if event.event != DELETED:
                self._waiting.append(event)
            if event.is_terminal:
                self._end()

    def _end(self) -> None:
        self._over = True
        self._waiting.append(END)

    async def _hear(self) -> bool:
        """Wait for something to do; ``False`` after a heartbeat interval without."""
        silence_s = self._heartbeat_s
        if self._settle_s:
            settle_s, self._settle_s = min(self._settle_s, silence_s), 0.0
            if await self._inbox.wait(settle_s) or await self._fell_behind():
                return True
            silence_s -= settle_s
        return await self._inbox.wait(silence_s) or await self._fell_behind()

    async def _fell_behind(self) -> bool:
        newest = await self._tail.look(self._went_to_log_at)
        if newest is None and self._tail.is_gone:
            raise StreamNotFoundError(self._log.run.run_id)
        if newest is None or newest.run_seq <= self._inbox.position.run_seq:
            return False
        self._inbox.mark_stale(Fall.SILENT)
        return True

    async def _read(self) -> AsyncIterator[Batch]:
        """Read the next page of history; heartbeats while that takes long."""
        self._inbox.is_stale = False
        self._go_to_log()
        self._page_events = min(self._page_events * 4, MAX_PAGE_MESSAGES)
        page = asyncio.create_task(self._history.read(self._inbox.position, self._page_events))
        try:
            while not (await asyncio.wait([page], timeout=self._heartbeat_s))[0]:
                yield [HEARTBEAT]
            events, complete = page.result()
        finally:
            page.cancel()
        if events and events[0].run_seq > self._inbox.position.run_seq + 1:
            events = await self._cross_hole(events)
            complete = False
        self._accept(events)
        self._caught_up = complete

    async def _cross_hole(self, events: Sequence[StreamEvent]) -> Sequence[StreamEvent]:
        """Believe a hole only when the leader confirms it; report what is missing.

        Returns:
            The events to go on with.
        """
        following = await self._log.find_next(self._inbox.position.stream_seq + 1)
        if following is not None and following.run_seq < events[0].run_seq:
            events = [following]  # the replica that answered lags
        if events[0].run_seq > self._inbox.position.run_seq + 1:
            await self._report_hole(events[0])
        return events

    async def _report_hole(self, earliest: StreamEvent) -> None:
        is_deleted = earliest.event == DELETED
        latest = earliest if is_deleted else await self._history.last()
        self._tell(
            StreamGap(
                run_id=self._log.run.run_id,
                requested_event_id=str(self._inbox.position),
                earliest_available_event_id=None if is_deleted else earliest.id,
                latest_available_event_id=None if is_deleted else latest.id,
                missing=earliest.run_seq - self._inbox.position.run_seq - 1,
                reason=GapReason.EVICTED,
            )
        )
        self._inbox.position = _just_before(earliest.event_id)

    def _tell(self, gap: StreamGap) -> None:
        self._tail.figures.gaps[gap.reason] += 1
        self._waiting.append(gap)

    def _gone(self) -> StreamGap:
        """Say that the run left altogether; nobody knows any more how many events are missing."""
        return StreamGap(
            run_id=self._log.run.run_id,
            requested_event_id=str(self._inbox.position),
            earliest_available_event_id=None,
            latest_available_event_id=None,
            missing=None,
            reason=GapReason.UNKNOWN,
        )


def _just_before(event_id: EventId) -> EventId:
    return EventId(event_id.stream_seq - 1, event_id.run_seq - 1)
