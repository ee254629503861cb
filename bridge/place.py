"""Where a writer's next event goes, and whether it may still write at all.

The place is the run's newest event as far as the writer knows. It never goes back, and whenever it
is read anew, the events in between are searched for a later attempt: that is the fence.
"""

import asyncio
import random
from itertools import count
from typing import Final
from uuid import uuid4

from bridge.errors import StreamFencedError, StreamTerminatedError
from bridge.events import StreamEvent
from bridge.flight import Flight, Head
from bridge.ids import EventId
from bridge.lifecycle import FIRST_ATTEMPT
from bridge.run_log import RunLog

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
        self._identity = uuid4().hex[:12]
        self._marks = count(1)
        self._attempt: int | None = None
        self._checked_seq = 0
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

    def advance(self, flight: Flight, first_seq: int) -> None:
        """Move behind a flight that was stored."""
        self.head = flight.head(first_seq)
        self._checked_seq = self.head.stream_seq
        self._losses = 0

    async def catch_up(self) -> None:
        """Move behind what others stored first; after many losses in a row, wait a little.

        Raises:
            StreamFencedError: A later attempt is among them.
        """
        self.head = await self._move_to(await self._log.last())
        self._losses += 1
        if self._losses > EAGER_RETRIES:
            await asyncio.sleep(random.uniform(0, _JITTER_S))  # noqa: S311 - only spreads retries

    def forget(self) -> None:
        """Give up what is known: something sent may be stored or not."""
        self.head = None
        self.writer = self._next_mark()

    async def claim(self, attempt: int) -> EventId | None:
        """Write as ``attempt`` from here on.

        Returns:
            The id of the attempt's ``metadata`` when the log has it, else ``None``: append it.

        Raises:
            StreamTerminatedError: The run has ended.
            StreamFencedError: This attempt or a later one has begun elsewhere.
        """
        newest, begun, begun_attempt = await self._log.newest_attempt()
        if newest.is_terminal:
            raise StreamTerminatedError(self._log.run.run_id, newest.event)
        is_repeat = attempt == FIRST_ATTEMPT or self.has_written(begun)
        if begun_attempt > attempt or (begun_attempt == attempt and not is_repeat):
            raise StreamFencedError(self._log.run.run_id, attempt, begun_attempt)
        self._attempt = attempt
        self.fenced = None
        self._checked_seq = newest.event_id.stream_seq
        if self.head is None:
            self.head = Head.of(newest)
        return begun.event_id if begun_attempt == attempt else None

    async def _move_to(self, newest: StreamEvent) -> Head:
        if self._attempt is not None:
            await self._look_for_later_attempt(newest.event_id.stream_seq)
        return Head.of(newest)

    def has_written(self, event: StreamEvent) -> bool:
        """Whether an event of the run was sent from here."""
        return event.writer.split(".", 1)[0] == self._identity

    async def _look_for_later_attempt(self, last_seq: int) -> None:
        async for begun, attempt in self._log.attempts(self._checked_seq + 1, last_seq):
            if attempt >= (self._attempt or FIRST_ATTEMPT) and not self.has_written(begun):
                run_id = self._log.run.run_id
                self.fenced = StreamFencedError(run_id, self._attempt or FIRST_ATTEMPT, attempt)
                raise self.fenced
        self._checked_seq = last_seq
