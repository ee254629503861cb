"""Timers of one process: the contract of :class:`bridge.timers.Timers` on the event loop's clock.

They are gone with the process.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from bridge.ids import check_id
from bridge.timers import FiredTimer, FiredTimers

#: A loop's timer may fire so much too early.
_RESOLUTION_S: Final = 0.001


@dataclass(eq=False, slots=True)
class _Waiting:
    """A firing that nobody has acknowledged.

    Attributes:
        is_out: Somebody has it, or it is held back for a while.
        comes_again: Ends that.
    """

    payload: bytes
    deliveries: int = 0
    is_out: bool = False
    comes_again: asyncio.TimerHandle | None = None


@dataclass(eq=False, slots=True)
class _Kind:
    """The firings of one kind, by key, the oldest first."""

    waiting: dict[str, _Waiting] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, key: str, payload: bytes) -> None:
        replaced = self.waiting.pop(key, None)
        if replaced is not None and replaced.comes_again is not None:
            replaced.comes_again.cancel()
        self.waiting[key] = _Waiting(payload)
        self.news.set()

    def hold(self, firing: _Waiting, for_s: float) -> None:
        """Hand the firing to nobody for a while."""
        if firing.comes_again is not None:
            firing.comes_again.cancel()
        firing.is_out = True
        loop = asyncio.get_running_loop()
        firing.comes_again = loop.call_later(for_s, self._put_back, firing)

    def _put_back(self, firing: _Waiting) -> None:
        firing.is_out = False
        self.news.set()

    def drop(self, key: str, firing: _Waiting) -> None:
        if firing.comes_again is not None:
            firing.comes_again.cancel()
        if self.waiting.get(key) is firing:
            del self.waiting[key]


class _Firing:
    """A :class:`FiredTimer` of this process."""

    def __init__(self, kind: str, key: str, firing: _Waiting, firings: _Kind) -> None:
        self.kind = kind
        self.key = key
        self.payload = firing.payload
        self.deliveries = firing.deliveries
        self._firing = firing
        self._firings = firings

    async def ack(self) -> None:
        self._firings.drop(self.key, self._firing)

    async def nak(self, delay_s: float = 0) -> None:
        self._firings.hold(self._firing, delay_s)


class _Firings:
    """:class:`FiredTimers` of this process."""

    def __init__(self, kind: str, firings: _Kind, lease_s: float) -> None:
        self._kind = kind
        self._firings = firings
        self._lease_s = lease_s

    async def fetch(self, max_firings: int, *, wait_s: float) -> list[FiredTimer]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while not (taken := self._take(max_firings)) and (left_s := deadline - loop.time()) > 0:
            self._firings.news.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._firings.news.wait()
            except TimeoutError:
                return []
        return taken

    def _take(self, max_firings: int) -> list[FiredTimer]:
        free = [(key, each) for key, each in self._firings.waiting.items() if not each.is_out]
        taken: list[FiredTimer] = []
        for key, firing in free[:max_firings]:
            firing.deliveries += 1
            self._firings.hold(firing, self._lease_s)
            taken.append(_Firing(self._kind, key, firing, self._firings))
        return taken

    async def close(self) -> None:
        return


class MemoryTimers:
    """:class:`bridge.timers.Timers` of one process; all calls belong on one event loop."""

    def __init__(self) -> None:
        self._set: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._kinds: defaultdict[str, _Kind] = defaultdict(_Kind)

    async def set(self, kind: str, key: str, *, at: datetime, payload: bytes = b"{}") -> None:
        """Have ``payload`` come back at a time; see :meth:`Timers.set`."""
        name = check_id("kind", kind), check_id(f"{kind}_id", key)
        await self.cancel(kind, key)
        delay_s = max(0.0, (at - datetime.now(UTC)).total_seconds())
        loop = asyncio.get_running_loop()
        self._set[name] = loop.call_later(delay_s + _RESOLUTION_S, self._fire, name, payload)

    def _fire(self, name: tuple[str, str], payload: bytes) -> None:
        del self._set[name]
        kind, key = name
        self._kinds[kind].add(key, payload)

    async def cancel(self, kind: str, key: str) -> None:
        """Remove a timer that has not fired; see :meth:`Timers.cancel`."""
        handle = self._set.pop((check_id("kind", kind), check_id(f"{kind}_id", key)), None)
        if handle is not None:
            handle.cancel()

    async def consumer(self, kind: str, *, lease_s: float) -> FiredTimers:
        """Open the consumer of a kind; see :meth:`Timers.consumer`."""
        return _Firings(kind, self._kinds[check_id("kind", kind)], lease_s)
