"""Durable consumers of a memory log: named positions that all bridges to the log share.

Handing out, acknowledging and handing out again are O(1) for each event, O(log n) for those whose
time is up.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.consumption import Claim, ConsumerInfo, ConsumerSpec
from bridge.dead_letters import DeadCause, DeadLetter, one_line
from bridge.errors import (
    BridgeClosedError,
    ConsumerDriftError,
    ConsumerLimitError,
    ConsumerNotFoundError,
)
from bridge.events import StreamEvent, timestamp

#: What opening a name again may change.
_OWN_BUSINESS: Final = frozenset({"batch", "is_kept"})


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


class MemoryConsumers:
    """All names of one log.

    Args:
        events: The retained events of the log by stream sequence.
        max_consumers: How many names there may be.
        idle_s: Seconds without use after which a name is removed.
        max_dead_letters: Kept per name; the oldest leave first.
    """

    def __init__(
        self,
        events: Mapping[int, StreamEvent],
        *,
        max_consumers: int,
        idle_s: float,
        max_dead_letters: int,
    ) -> None:
        self._events = events
        self._max_consumers = max_consumers
        self._idle_s = idle_s
        self._max_dead_letters = max_dead_letters
        self._by_name: dict[str, MemoryConsumer] = {}
        self._dead_letters: deque[DeadLetter] = deque(maxlen=max_dead_letters)
        self._buried = 0
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._changed.set()
        self._changed.clear()

    async def wait(self, timeout_s: float) -> None:
        """Wait until there may be something new, at most ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    def open(self, spec: ConsumerSpec, last_seq: int) -> MemoryConsumer:
        """Return what the log remembers of a name, made when it is absent.

        Raises:
            ConsumerDriftError: The name stands for something else.
            ConsumerLimitError: There are as many names as there may be.
        """
        self._remove_unused()
        known = self._by_name.get(spec.name)
        if known is not None:
            _verify(known.spec, spec)
            return known
        if len(self._by_name) >= self._max_consumers:
            raise ConsumerLimitError(spec.name)
        first_seq = spec.first_seq()
        start = last_seq + 1 if first_seq is None else first_seq
        made = self._by_name[spec.name] = MemoryConsumer(spec, start, self._events)
        return made

    def infos(self, last_seq: int) -> list[ConsumerInfo]:
        """Return all names."""
        self._remove_unused()
        return [self._by_name[name].info(last_seq) for name in sorted(self._by_name)]

    def delete(self, name: str) -> None:
        """Forget a name.

        Raises:
            ConsumerNotFoundError: There is none.
        """
        self._remove_unused()
        found = self._by_name.pop(name, None)
        if found is None:
            raise ConsumerNotFoundError(name)
        found.is_deleted = True
        self.wake()

    def _remove_unused(self) -> None:
        too_old = time.monotonic() - self._idle_s
        for name, each in tuple(self._by_name.items()):
            if not each.spec.is_kept and not each.readers and each.used_at < too_old:
                del self._by_name[name]

    def bury(self, name: str, claim: Claim, cause: DeadCause, reason: str) -> None:
        """Keep what a name gave up."""
        self._buried += 1
        self._dead_letters.append(
            DeadLetter(
                seq=self._buried,
                consumer=name,
                event=claim.event,
                cause=cause,
                reason=one_line(reason),
                attempt=claim.attempt,
                created_at=timestamp(),
            )
        )

    def dead_letters(self, name: str, after: int, limit: int) -> list[DeadLetter]:
        """Return what a name gave up, oldest first."""
        found = [each for each in self._dead_letters if each.consumer == name and each.seq > after]
        return found[:limit]


class MemoryClaim:
    """One event that was handed out; see :class:`bridge.consumption.Claim`."""

    def __init__(
        self, consumers: MemoryConsumers, consumer: MemoryConsumer, event: StreamEvent, attempt: int
    ) -> None:
        self._consumers = consumers
        self._consumer = consumer
        self._seq = event.event_id.stream_seq
        self.event = event
        self.attempt = attempt

    async def ack(self) -> None:
        """Say that the event is handled."""
        self._consumer.release(self._seq)
        self._consumers.wake()

    async def nak(self, delay_s: float) -> None:
        """Give it back."""
        self._consumer.hold_again(self._seq, max(0.0, delay_s))
        self._consumers.wake()

    async def in_progress(self) -> None:
        """Start its time anew."""
        self._consumer.hold_again(self._seq, self._consumer.spec.ack_wait_s)

    async def bury(self, cause: DeadCause, reason: str) -> None:
        """Keep it as a dead letter, and take it off."""
        self._consumers.bury(self._consumer.spec.name, self, cause, reason)
        await self.ack()


class MemorySource:
    """Hands out one name's events; see :class:`bridge.consumption.ClaimSource`."""

    def __init__(
        self,
        consumers: MemoryConsumers,
        consumer: MemoryConsumer,
        last_seq: Callable[[], int],
        is_open: Callable[[], bool],
    ) -> None:
        self._consumers = consumers
        self._consumer = consumer
        self._last_seq = last_seq
        self._is_open = is_open
        consumer.readers += 1

    async def fetch(self, max_events: int, *, ask: int, wait_s: float) -> list[Claim]:
        """Return what is there; nothing is held ahead, so ``ask`` means nothing."""
        del ask
        deadline = time.monotonic() + wait_s
        # Nothing else here waits: without this turn one reader would starve the others.
        await asyncio.sleep(0)
        while True:
            self._check()
            claims: list[Claim] = []
            last_seq = self._last_seq()
            while len(claims) < max_events and (found := self._consumer.take(last_seq)):
                claims.append(MemoryClaim(self._consumers, self._consumer, *found))
            left_s = deadline - time.monotonic()
            if claims or left_s <= 0:
                return claims
            await self._consumers.wait(self._consumer.wait_s(left_s))

    def _check(self) -> None:
        if not self._is_open():
            raise BridgeClosedError
        if self._consumer.is_deleted:
            raise ConsumerNotFoundError(self._consumer.spec.name)

    async def close(self) -> None:
        """Leave the name to others."""
        self._consumer.readers -= 1
        self._consumer.used_at = time.monotonic()


def _verify(known: ConsumerSpec, wanted: ConsumerSpec) -> None:
    for field in ConsumerSpec.model_fields:
        found, asked = getattr(known, field), getattr(wanted, field)
        if field not in _OWN_BUSINESS and found != asked:
            raise ConsumerDriftError(known.name, field, asked, found)
