"""Events of a memory log on their way to those who read under a name."""

import asyncio
import time
from collections.abc import Callable

from bridge.consumption import Claim
from bridge.dead_letters import DeadCause
from bridge.errors import BridgeClosedError, ConsumerNotFoundError
from bridge.events import StreamEvent
from bridge.memory.consumer import MemoryConsumer
from bridge.memory.consumers import MemoryConsumers


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
