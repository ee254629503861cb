"""Durable consumers of a memory log: named positions that all bridges to the log share."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

from bridge.consumption import Claim, ConsumerInfo, ConsumerSpec
from bridge.dead_letters import DeadCause, DeadLetter, one_line
from bridge.errors import (
    ConsumerDriftError,
    ConsumerLimitError,
    ConsumerNotFoundError,
)
from bridge.events import StreamEvent, timestamp
from bridge.memory.consumer import MemoryConsumer
from bridge.subjects import RunRef

#: What opening a name again may change.
_OWN_BUSINESS: Final = frozenset({"batch", "is_kept"})


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

    def info(self, name: str, last_seq: int) -> ConsumerInfo:
        """Return one name.

        Raises:
            ConsumerNotFoundError: There is none.
        """
        self._remove_unused()
        if name not in self._by_name:
            raise ConsumerNotFoundError(name)
        return self._by_name[name].info(last_seq)

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

    def forget(self, run: RunRef) -> None:
        """Remove what was given up of a run."""
        kept = [each for each in self._dead_letters if each.event.run != run]
        self._dead_letters = deque(kept, maxlen=self._max_dead_letters)

    def dead_letters(self, name: str, after: int, limit: int) -> list[DeadLetter]:
        """Return what a name gave up, oldest first."""
        found = [each for each in self._dead_letters if each.consumer == name and each.seq > after]
        return found[:limit]


def _verify(known: ConsumerSpec, wanted: ConsumerSpec) -> None:
    for field in ConsumerSpec.model_fields:
        found, asked = getattr(known, field), getattr(wanted, field)
        if field not in _OWN_BUSINESS and found != asked:
            raise ConsumerDriftError(known.name, field, asked, found)
