"""Where a writer's next event goes, and whether it may still write at all.

The place is the run's newest event as far as the writer knows. It never goes back, and whenever it
is read anew, the events in between are searched for a later attempt: that is the fence. Where
trimming has removed some of them, the writer cannot know, and stops as if it had found one.
"""

import asyncio
import random
from itertools import count
from secrets import token_hex
from typing import Final

from bridge.errors import StreamFencedError, StreamTerminatedError
from bridge.events import BIRTH, StreamEvent
from bridge.flight import Flight, Head
from bridge.ids import EventId
from bridge.lifecycle import FIRST_ATTEMPT
from bridge.run_log import RunLog, attempt_of

#: Losses of the race for the next place after which a writer waits a little before it retries.
EAGER_RETRIES: Final = 10
_JITTER_S: Final = 0.01


class Place:
    """One writer's place in one run.

    Args:
        log: The run's stored events.

    Attributes:
        writer: The mark on what is sent from here; it changes when the fate of something sent is
            given up, so that it is not mistaken for something later.
        head: The newest event, or ``None`` when it must be read first.
        fenced: Why this writer may not write any more.
    """

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._identity = token_hex(6)
        self._marks = count(1)
        self._attempt: int | None = None
        self._checked: EventId | Head = EventId(0, 0)
        self._losses = 0
        self.writer = self._next_mark()
        self.head: Head | None = None
        self.fenced: StreamFencedError | None = None

    @property
    def is_bound(self) -> bool:
        """Whether an attempt that is not over depends on what this writer knows."""
        return self._attempt is not None and (self.head is None or not self.head.is_terminal)

    def _next_mark(self) -> str:
        return f"{self._identity}.{next(self._marks)}"

    async def read(self) -> Head:
        """Return the head; read it at the leader when it is not known.

        Raises:
            StreamNotFoundError: Nobody created the run.
            StreamFencedError: A later attempt has begun.
        """
        if self.head is None:
            self.head = await self._move_to(await self._log.last())
        return self.head

    def advance(self, flight: Flight, first_seq: int) -> Head:
        """Move behind a flight that was stored, and return the new head."""
        self.head = self._checked = flight.head(first_seq)
        self._losses = 0
        return self.head

    async def catch_up(self) -> None:
        """Move behind what others stored first; after many losses in a row, wait a little.

        Raises:
            StreamFencedError: A later attempt is among them.
        """
        newest = await self._log.last()
        # A leader that was just deposed can answer with less than is known already. Going back
        # would be fatal: this writer's own older events carry the mark of what it sends next.
        if self.head is None or newest.event_id.stream_seq > self.head.stream_seq:
            self.head = await self._move_to(newest)
        self._losses += 1
        if self._losses > EAGER_RETRIES:
            await asyncio.sleep(random.uniform(0, _JITTER_S))  # noqa: S311 - only spreads retries

    def forget(self) -> None:
        """Give up what is known: something sent may be stored or not."""
        self.head = None
        self.writer = self._next_mark()

    async def claim(self, attempt: int) -> EventId | None:
        """Write as ``attempt`` from here on.

        When every ``metadata`` has left the log, the caller's number is trusted: run control has
        committed it, and appending it shows it to all others again.

        Returns:
            The id of the attempt's ``metadata`` when the log has it, else ``None``: append it.

        Raises:
            StreamTerminatedError: The run has ended.
            StreamFencedError: This attempt or a later one has begun elsewhere.
        """
        newest, begun = await self._log.newest_attempt()
        if newest.is_terminal:
            raise StreamTerminatedError(self._log.run.run_id, newest.event)
        begun_id = None if begun is None else self._find_own(begun, attempt)
        self._attempt = attempt
        self.fenced = None
        self._checked = newest.event_id
        if self.head is None:
            self.head = Head.of(newest)
        return begun_id

    def _find_own(self, begun: StreamEvent, attempt: int) -> EventId | None:
        begun_attempt = attempt_of(begun)
        is_repeat = attempt == FIRST_ATTEMPT or self.has_written(begun)
        if begun_attempt > attempt or (begun_attempt == attempt and not is_repeat):
            raise StreamFencedError(self._log.run.run_id, attempt, begun_attempt)
        return begun.event_id if begun_attempt == attempt else None

    async def _move_to(self, newest: StreamEvent) -> Head:
        if self._attempt is not None:
            await self._look_for_later_attempt(self._attempt, newest)
        return Head.of(newest)

    def has_written(self, event: StreamEvent) -> bool:
        """Whether an event of the run was sent from here."""
        return event.writer.split(".", 1)[0] == self._identity

    async def _look_for_later_attempt(self, own: int, newest: StreamEvent) -> None:
        reached = self._checked
        async for event in self._log.span(reached.stream_seq + 1, newest.event_id.stream_seq):
            if event.event == BIRTH and attempt_of(event) >= own and not self.has_written(event):
                self._fence(own, attempt_of(event))
            if event.run_seq > reached.run_seq + 1:
                break
            reached = event.event_id
        if reached.run_seq < newest.run_seq and not newest.is_terminal:
            self._fence(own, None)
        self._checked = newest.event_id

    def _fence(self, own: int, successor: int | None) -> None:
        self.fenced = StreamFencedError(self._log.run.run_id, own, successor)
        raise self.fenced
