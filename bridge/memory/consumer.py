"""What a memory log remembers of one name, and how its events are handed out.

Handing out, acknowledging and handing out again are O(1) for each event, O(log n) for those whose
time is up.
"""

import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.consumption import ConsumerInfo, ConsumerSpec
from bridge.events import StreamEvent, timestamp


@dataclass(slots=True)
class _Held:
    """An event that was handed out: when its time is up, and how often it was."""

    due: float
    attempt: int


class MemoryConsumer:
    """What the log remembers of one name.

    Args:
        spec: What the name stands for.
        first_seq: The stream sequence that it starts from.
        events: The retained events of the log by stream sequence.
    """

    def __init__(
        self, spec: ConsumerSpec, first_seq: int, events: Mapping[int, StreamEvent]
    ) -> None:
        self.spec = spec
        self.readers = 0
        self.used_at = time.monotonic()
        self.created_at = timestamp()
        self.is_deleted = False
        self._next_seq = first_seq
        self._events = events
        self._held: dict[int, _Held] = {}
        self._due: list[tuple[float, int]] = []

    def take(self, last_seq: int) -> tuple[StreamEvent, int] | None:
        """Hand out the next event and say for which time; None when there is none now."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            due, seq = heapq.heappop(self._due)
            held = self._held.get(seq)
            if held is None or held.due != due:
                continue
            event = self._events.get(seq)
            if event is not None:
                return self._hand_out(event, held.attempt + 1)
            del self._held[seq]  # evicted meanwhile
        if len(self._held) >= self.spec.max_ack_pending:
            return None
        while self._next_seq <= last_seq:
            event = self._events.get(self._next_seq)
            self._next_seq += 1
            if event is not None and self._concerns(event):
                return self._hand_out(event, 1)
        return None

    def _hand_out(self, event: StreamEvent, attempt: int) -> tuple[StreamEvent, int]:
        self._hold(event.event_id.stream_seq, attempt, self.spec.ack_wait_s)
        return event, attempt

    def _hold(self, seq: int, attempt: int, for_s: float) -> None:
        due = time.monotonic() + for_s
        self._held[seq] = _Held(due, attempt)
        heapq.heappush(self._due, (due, seq))

    def _concerns(self, event: StreamEvent) -> bool:
        spec = self.spec
        return spec.thread_id in (None, event.thread_id) and spec.run_id in (None, event.run_id)

    def wait_s(self, limit_s: float) -> float:
        """Return how long nothing can come by time alone, at most ``limit_s``."""
        left_s = self._due[0][0] - time.monotonic() if self._due else limit_s
        return max(0.0, min(limit_s, left_s))

    def release(self, seq: int) -> None:
        """Never hand an event out again."""
        self._held.pop(seq, None)

    def hold_again(self, seq: int, for_s: float) -> None:
        """Hand an event out again after ``for_s`` seconds, unless it was released."""
        held = self._held.get(seq)
        if held is not None:
            self._hold(seq, held.attempt, for_s)

    def info(self, last_seq: int) -> ConsumerInfo:
        """Return what the name has done and has left to do."""
        ahead = range(self._next_seq, last_seq + 1)
        events = (self._events.get(seq) for seq in ahead)
        return ConsumerInfo(
            name=self.spec.name,
            thread_id=self.spec.thread_id,
            run_id=self.spec.run_id,
            waiting=sum(event is not None and self._concerns(event) for event in events),
            unacknowledged=len(self._held),
            acknowledged_seq=min(self._held, default=self._next_seq) - 1,
            created_at=self.created_at,
        )
