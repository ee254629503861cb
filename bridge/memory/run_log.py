"""What a memory log holds of one run. Its readers are positions in it, and are woken by it."""

import asyncio
import time
from typing import Final

from bridge.errors import StreamTerminatedError
from bridge.events import StreamEvent
from bridge.ids import EventId
from bridge.lifecycle import FIRST_ATTEMPT
from bridge.subjects import RunRef

IDEMPOTENCE_S: Final = 120.0


class RunLog:
    """The retained events of one run; ``first`` to ``last`` without holes, never empty.

    Attributes:
        run: The run.
        birth: The run's first event, which may have been evicted since; of a run that has left the
            log, its terminal event.
        events: The retained events by run_seq.
        first: The oldest retained event.
        last: The newest event.
        terminal: The terminal event, once there is one.
        attempt: The attempt that has begun last.
        attempt_id: The id of that attempt's ``metadata`` event.
        attempts: Which attempt each writer publishes as; one that is not here is a service.
        retained_bytes: Bytes of data and metadata of the retained events.
        awaits_after: The event after which the run waits for its user.
    """

    def __init__(self, birth: StreamEvent) -> None:
        self.run = RunRef(birth.thread_id, birth.run_id)
        self.birth = self.first = self.last = birth
        self.events = {birth.run_seq: birth}
        self.terminal = birth if birth.is_terminal else None
        self.attempt = FIRST_ATTEMPT
        self.attempt_id = birth.id
        self.attempts: dict[str, int] = {}
        self.awaits_after: StreamEvent | None = None
        self._readers = 0
        self._changed_s = self._read_s = time.monotonic()
        self.retained_bytes = size_of(birth)
        self._known_ids: dict[str, tuple[float, EventId]] = {}
        self._changed = asyncio.Event()

    def push(self, event: StreamEvent) -> None:
        """Add the event that follows ``last``, and wake the readers."""
        self.events[event.run_seq] = event
        self.last = event
        self._changed_s = time.monotonic()
        self.retained_bytes += size_of(event)
        if event.is_terminal:
            self.terminal = event
        self.wake()

    def delete(self, marker: StreamEvent) -> None:
        """End the run for its readers; ``marker`` itself is not theirs to see."""
        self.terminal = self.terminal or marker
        self.wake()

    def evict_first(self) -> StreamEvent:
        """Forget the oldest of at least two retained events, and return it."""
        evicted = self.events.pop(self.first.run_seq)
        self.first = self.events[evicted.run_seq + 1]
        self.retained_bytes -= size_of(evicted)
        return evicted

    @property
    def readers(self) -> int:
        """How many readers are open."""
        return self._readers

    @readers.setter
    def readers(self, count: int) -> None:
        self._readers = count
        self._read_s = time.monotonic()

    @property
    def awaits_input(self) -> bool:
        """Whether the run waits for its user since its newest event."""
        return self.awaits_after is self.last and self.terminal is None

    @property
    def silent_s(self) -> float:
        """Seconds since the newest event."""
        return time.monotonic() - self._changed_s

    @property
    def unread_s(self) -> float:
        """Seconds since the run ended, or was read last if that is less."""
        return 0.0 if self._readers else min(self.silent_s, time.monotonic() - self._read_s)

    def refuse_ended(self) -> None:
        """Raise StreamTerminatedError when the run has its terminal event."""
        if self.terminal is not None:
            raise StreamTerminatedError(self.run.run_id, self.terminal.event)

    def find_published(self, event_id: str) -> EventId | None:
        """Return where the caller's own id was stored within the last 120 s, if it was."""
        known = self._known_ids.get(event_id)
        if known is None or time.monotonic() - known[0] > IDEMPOTENCE_S:
            return None
        return known[1]

    def remember_published(self, event_id: str, place: EventId, *, limit: int) -> None:
        """Remember the caller's own id; beyond ``limit`` ids the oldest are forgotten."""
        self._known_ids.pop(event_id, None)
        self._known_ids[event_id] = (time.monotonic(), place)
        if len(self._known_ids) > limit:
            del self._known_ids[next(iter(self._known_ids))]

    def wake(self) -> None:
        """Let every waiting reader look again."""
        self._changed.set()
        self._changed.clear()

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there may be something new; False after ``timeout_s`` of silence."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._changed.wait()
        except TimeoutError:
            return False


def size_of(event: StreamEvent) -> int:
    """Return what an event counts: bytes of data and metadata."""
    return len(event.payload) + len(event.metadata_json or b"")
