"""The live feed of a run, shared by all its readers in this process.

One core subscription serves any number of readers; each event is decoded once, and what came at one
time is handed to all readers as one sequence. The feed is at most once: whatever may have been lost
is reported to the readers, who then read the log.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from nats.aio.msg import Msg

from bridge import wire
from bridge.connection import Connection
from bridge.cursors import BEFORE_ALL
from bridge.errors import ForeignMessageError, UnavailableError
from bridge.events import StreamEvent
from bridge.metrics.following import Fall, FollowFigures
from bridge.run_log import RunLog
from bridge.settings import LogSettings
from bridge.shared_feed import SharedFeed, joining, leave
from bridge.stream_bridge import Push
from bridge.subjects import RunRef, Subjects

if TYPE_CHECKING:
    from opentelemetry.trace import Span

#: So many events are handed out together at most; a reader's buffer may take fewer.
_MAX_TOGETHER: Final = 64
#: Within this time every node of a cluster has learnt of a subscription made at one of them.
_SETTLE_S: Final = 0.2
#: So long a reader that is expected may take to come.
_EXPECTED_S: Final = 2.0
#: So many are expected at a time; others read the log when they come, as everybody does.
_MAX_EXPECTED: Final = 1000


class Reader:
    """What one reader of a run has not handled yet.

    Args:
        max_events: Above so many the reader drops them all and reads the log instead.
        figures: Counts how often it has to.

    Attributes:
        position: The newest event that it was given.
        push: Takes events at once while the reader waits, without a switch to its task; returns
            whether it did. What it does not take waits here.
        is_from_birth: It was there before the run's first event, and has missed none.
        is_stale: Live events may have been lost: the log knows.
        is_closed: No live event will come any more.
    """

    # A thousand of them are gone through for each event: what lies close together is found sooner.
    __slots__ = (
        "_events",
        "_figures",
        "_is_waiting",
        "_max_events",
        "_wake",
        "is_closed",
        "is_from_birth",
        "is_stale",
        "position",
        "push",
    )

    def __init__(self, max_events: int, figures: FollowFigures) -> None:
        self._max_events = max_events
        self._figures = figures
        self._events: deque[StreamEvent] = deque()
        self._wake = asyncio.Event()
        self._is_waiting = False
        self.position = BEFORE_ALL
        self.push: Push | None = None
        self.is_from_birth = False
        self.is_stale = False
        self.is_closed = False

    def offer(self, events: Sequence[StreamEvent], *, at_once: bool) -> None:
        """Take live events that follow each other, without waiting for anybody.

        Args:
            events: The events.
            at_once: Whether they may go to :attr:`push`.
        """
        if at_once and self._is_waiting and self._push(events):
            return
        self._is_waiting = False
        if len(self._events) + len(events) > self._max_events:
            self._events.clear()
            self._fall(Fall.OVERFLOW)
        self._events.extend(events)
        self._wake.set()

    def _push(self, events: Sequence[StreamEvent]) -> bool:
        """Give those that come next to whoever takes them at once; tell whether that was done."""
        if self.push is None:
            return False
        ahead = events[0].event_id.run_seq - self.position.run_seq
        if ahead != 1:
            events = events[1 - ahead :] if ahead < 1 else ()  # the rest is known
            if not events:
                return ahead < 1
        if not self.push(events):
            return False
        self.position = events[-1].event_id
        return True

    def __len__(self) -> int:
        return len(self._events)

    def mark_stale(self, fall: Fall) -> None:
        """Say that live events may have been lost: the log knows."""
        self._is_waiting = False
        self._fall(fall)
        self._wake.set()

    def _fall(self, fall: Fall) -> None:
        self._figures.falls[fall] += not self.is_stale
        self.is_stale = True

    def close(self) -> None:
        """Say that no live event will come any more."""
        self._is_waiting = False
        self.is_closed = True
        self._wake.set()

    def take(self) -> list[StreamEvent]:
        """Return and forget all waiting events."""
        events = list(self._events)
        self._events.clear()
        self._wake.clear()
        return events

    async def wait(self, timeout_s: float) -> bool:
        """Wait for something to do; ``False`` after ``timeout_s`` seconds without."""
        if self._events or self.is_stale or self.is_closed:
            return True
        self._wake.clear()
        self._is_waiting = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        finally:
            self._is_waiting = False
        return True


class Tail(SharedFeed[Reader, StreamEvent | None]):
    """One run's live feed.

    Attributes:
        figures: What its readers meet with is counted here.
        is_gone: Whether the last look found nothing of the run any more.
    """

    def __init__(
        self,
        connection: Connection,
        run_log: RunLog,
        live_subject: str,
        settings: LogSettings,
        figures: FollowFigures,
    ) -> None:
        super().__init__(connection, live_subject)
        self._log = run_log
        self._loop = asyncio.get_running_loop()
        self._max_together = min(_MAX_TOGETHER, settings.max_buffered_events)
        self._heard: list[StreamEvent] = []
        self._spans = connection.spans
        self._being_delivered: list[Span] = []
        self.figures = figures
        self.is_gone = False

    def _on_message(self, message: Msg) -> None:
        if message.reply and not message.data:
            return  # somebody asks the server whether the run is read
        headers = message.headers or {}
        try:
            seq = int(headers[wire.STREAM_SEQUENCE])
            event = wire.decode_event(self._log.run, seq, headers, message.data)
        except (KeyError, ValueError, ForeignMessageError):
            self.mark_stale(Fall.LOST)  # reading the log will say what is wrong
            return
        heard = self._heard
        if heard and (event.is_terminal or not self._goes_with(heard, event)):
            self._hand_out()
        if not self._heard:
            self._loop.call_soon(self._hand_out)
        self._heard.append(event)
        if self._spans is not None and (parent := headers.get(wire.TRACE_PARENT)):
            span = self._spans.delivering(parent, event, len(self.readers))
            self._being_delivered.append(span)

    def _goes_with(self, heard: Sequence[StreamEvent], event: StreamEvent) -> bool:
        newest = heard[-1]
        return (
            event.run_seq == newest.run_seq + 1
            and not newest.is_terminal
            and len(heard) < self._max_together
        )

    def _hand_out(self) -> None:
        """Offer what came in this turn of the event loop to all readers."""
        events, self._heard = self._heard, []
        if events:
            at_once = not events[-1].is_terminal
            for reader in self.readers:
                reader.offer(events, at_once=at_once)
        while self._being_delivered:
            self._being_delivered.pop().end()

    def mark_stale(self, fall: Fall) -> None:
        """Send every reader to the log."""
        for reader in self.readers:
            reader.mark_stale(fall)

    @property
    def settle_s(self) -> float:
        """Seconds after which a reader that went to the log looks once more; 0: it need not.

        A cluster's leader may not know yet of a subscription that another node has confirmed.
        """
        return _SETTLE_S if self._connection.is_clustered else 0.0

    async def _ask(self) -> StreamEvent | None:
        """Return the run's newest event; see :meth:`look`.

        Returns:
            ``None`` when nothing is known, because the server is away or the run is gone;
            ``is_gone`` tells which.
        """
        if not await self._connection.wait_connected(0):
            return None
        with suppress(UnavailableError):
            newest = await self._log.find_last()
            self.is_gone = newest is None
            return newest
        return None


class Tails:
    """The live feeds of all runs that are followed in this process, counted by reference.

    Attributes:
        figures: What their readers met with.
    """

    def __init__(self, connection: Connection, subjects: Subjects, settings: LogSettings) -> None:
        self._connection = connection
        self._subjects = subjects
        self._settings = settings
        self._tails: dict[RunRef, Tail] = {}
        self._expected: dict[RunRef, Reader] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self.figures = FollowFigures()
        connection.add_listener(self._mark_stale)

    @asynccontextmanager
    async def join(
        self, run_log: RunLog, *, from_birth: bool = False
    ) -> AsyncGenerator[tuple[Tail, Reader]]:
        """Attach a reader to a run's feed for the length of a context.

        Args:
            run_log: The run.
            from_birth: Whether it may be the one that was expected at the run's birth, if any.

        Raises:
            UnavailableError: The server did not take the subscription.
        """
        run = run_log.run
        reader = self._expected.pop(run, None) if from_birth else None
        if reader is None:  # an expected one for which nothing waits yet is empty, and there
            reader = self._new_reader()
        async with joining(self._tails, run, partial(self._make, run_log), reader) as tail:
            yield tail, reader

    def expect(self, run_log: RunLog) -> None:
        """Open the feed of a run that is about to be born, for a reader that comes soon after.

        What the run tells waits for it, so that it need not ask the log. The server gets the
        subscription on the connection that brings the birth, and so before it.
        """
        run = run_log.run
        if run in self._tails or len(self._expected) >= _MAX_EXPECTED:
            return
        tail = self._tails[run] = self._make(run_log)
        reader = self._expected[run] = self._new_reader()
        reader.is_from_birth = True
        tail.readers.add(reader)
        tail.begin()
        asyncio.get_running_loop().call_later(_EXPECTED_S, self._give_up, tail, run, reader)

    def _give_up(self, tail: Tail, run: RunRef, reader: Reader) -> None:
        if self._expected.get(run) is reader:
            del self._expected[run]
            leaving = asyncio.create_task(leave(self._tails, run, tail, reader))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _new_reader(self) -> Reader:
        return Reader(self._settings.max_buffered_events, self.figures)

    def _make(self, run_log: RunLog) -> Tail:
        live = self._subjects.live(run_log.run)
        return Tail(self._connection, run_log, live, self._settings, self.figures)

    def count(self, run: RunRef) -> int:
        """Return how many readers follow a run in this process."""
        tail = self._tails.get(run)
        return 0 if tail is None else len(tail.readers)

    def find_read(self, run_ids: Sequence[str]) -> list[str]:
        """Return those runs that somebody follows in this process."""
        read = {run.run_id for run, tail in self._tails.items() if tail.readers}
        return [run_id for run_id in run_ids if run_id in read]

    @property
    def total(self) -> int:
        """How many readers follow any run in this process."""
        return sum(len(tail.readers) for tail in tuple(self._tails.values()))

    @property
    def runs(self) -> int:
        """How many runs are followed in this process."""
        return len(self._tails)

    @property
    def buffered(self) -> int:
        """How many live events wait for their readers, all together."""
        tails = tuple(self._tails.values())
        return sum(len(reader) for tail in tails for reader in tuple(tail.readers))

    def close(self) -> None:
        """Tell every reader that the bridge closes."""
        self._connection.remove_listener(self._mark_stale)
        self._expected.clear()
        for tail in self._tails.values():
            for reader in tail.readers:
                reader.close()

    def _mark_stale(self) -> None:
        for tail in self._tails.values():
            tail.mark_stale(Fall.DISTURBED)
