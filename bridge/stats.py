"""What a bridge holds, in numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.events import DELETED, StreamEvent


@dataclass(frozen=True, slots=True)
class StreamStats:
    """The runs that a log holds, as of the moment of asking.

    Attributes:
        total_streams: Runs of which the log holds at least one event.
        active_streams: Those without a terminal event.
        terminal_streams: Those that have one.
        total_events: Events that these runs have emitted, evicted ones included.
        total_bytes: Payload bytes of all of them, in UTF-8.
        total_subscribers: Readers in this process.
        closed: Whether the bridge is closed; it then knows nothing, and the numbers are 0.
    """

    total_streams: int = 0
    active_streams: int = 0
    terminal_streams: int = 0
    total_events: int = 0
    total_bytes: int = 0
    total_subscribers: int = 0
    closed: bool = False


CLOSED_STATS = StreamStats(closed=True)


class Tally:
    """Counts runs by their newest events; deleted ones do not count."""

    def __init__(self) -> None:
        self._active = 0
        self._terminal = 0
        self._events = 0
        self._bytes = 0

    def add(self, newest: Iterable[StreamEvent]) -> None:
        """Count one run for each of its newest events."""
        for event in newest:
            if event.event == DELETED:
                continue
            self._terminal += event.is_terminal
            self._active += not event.is_terminal
            self._events += event.run_seq
            self._bytes += event.total_bytes

    def stats(self, subscribers: int) -> StreamStats:
        """Return what was counted."""
        return StreamStats(
            total_streams=self._active + self._terminal,
            active_streams=self._active,
            terminal_streams=self._terminal,
            total_events=self._events,
            total_bytes=self._bytes,
            total_subscribers=subscribers,
        )
