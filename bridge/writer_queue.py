"""What waits to be written to one run: its entries, in order, and no more than its limits."""

from asyncio import Future
from collections import deque
from collections.abc import Iterator, Sequence

from bridge.errors import BridgeError
from bridge.events import BIRTH, TERMINAL_EVENTS, NewEvent
from bridge.ids import EventId
from bridge.settings import LogSettings


class Entry:
    """What one caller wants stored, all or none.

    Attributes:
        events: The events.
        future: Gets their ids.
        size_bytes: Payload bytes of all of them.
        is_terminal: Whether it ends the run.
        flies_alone: Whether it must not share a flight.
    """

    __slots__ = ("events", "flies_alone", "future", "is_terminal", "size_bytes")

    def __init__(self, events: Sequence[NewEvent], future: "Future[list[EventId]]") -> None:
        first = events[0]
        self.events = events
        self.future = future
        self.size_bytes = sum([len(event.payload) for event in events])
        self.is_terminal = first.event in TERMINAL_EVENTS
        self.flies_alone = (
            len(events) > 1
            or first.event_id is not None
            or self.is_terminal
            or first.event == BIRTH
        )

    def resolve(self, ids: list[EventId]) -> None:
        """Answer the caller, unless it has gone."""
        if not self.future.done():
            self.future.set_result(ids)

    def fail(self, error: BridgeError) -> None:
        """Tell the caller what went wrong, unless it has gone."""
        if not self.future.done():
            self.future.set_exception(error)


class WriterQueue:
    """Entries in the order in which they came; those beyond the limits stand in line for it.

    Entering the queue is the same for both: a caller waits for its entry's answer, however long
    that takes, and the line moves up by as much as leaves the queue.

    Args:
        settings: How many events and bytes the queue holds.

    Attributes:
        event_count: Events in the queue.
    """

    def __init__(self, settings: LogSettings) -> None:
        self._max_events = settings.max_queued_events
        self._max_bytes = settings.max_queued_bytes
        self._entries: deque[Entry] = deque()
        self._line: deque[Entry] = deque()
        self._bytes = 0
        self.event_count = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    @property
    def first(self) -> Entry:
        """The entry whose turn it is; there must be one."""
        return self._entries[0]

    def put(self, entry: Entry) -> None:
        """Let an entry in, behind all others."""
        self._line.append(entry)
        self._move_up()

    def pop(self, count: int) -> list[Entry]:
        """Take the first ``count`` entries out."""
        popped = [self._entries.popleft() for _ in range(count)]
        for entry in popped:
            self.event_count -= len(entry.events)
            self._bytes -= entry.size_bytes
        self._move_up()
        return popped

    def put_back(self, entries: Sequence[Entry]) -> None:
        """Let entries in again, before all others and whatever the limits are."""
        self._entries.extendleft(reversed(entries))
        self._count(entries)

    def _move_up(self) -> None:
        while self._line and not self._is_full(self._line[0]):
            entry = self._line.popleft()
            if not entry.future.done():  # its caller may have gone
                self._entries.append(entry)
                self._count([entry])

    def _is_full(self, entry: Entry) -> bool:
        return bool(self._entries) and (
            self.event_count + len(entry.events) > self._max_events
            or self._bytes + entry.size_bytes > self._max_bytes
        )

    def _count(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self.event_count += len(entry.events)
            self._bytes += entry.size_bytes
