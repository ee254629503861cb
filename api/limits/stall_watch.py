"""Cuts off a client that takes too little of what waits for it, whatever kind of answer that is.

What is measured is the connection: bytes that were written to it, less those that still wait in
this process. So it does not matter whether the answer is a stream, a page, or the rest of something
that was written whole; and who has taken everything may be silent for as long as it likes.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp.abc import AbstractStreamWriter

_LOOKS_PER_LIMIT: Final = 4


class StallWatch:
    """Looks at one connection from time to time.

    Args:
        transport: The connection.
        limit_s: Seconds after which a client that has taken too little has stalled.
        least_bytes: What it must take in that time while so much waits for it.
        on_stall: Called then, once; the watch has ended.
    """

    __slots__ = (
        "_least_bytes",
        "_limit_s",
        "_loop",
        "_moved_at",
        "_on_stall",
        "_taken",
        "_timer",
        "_transport",
        "_writer",
        "_written_before",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        *,
        limit_s: float,
        least_bytes: float,
        on_stall: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._limit_s = limit_s
        self._least_bytes = least_bytes
        self._on_stall = on_stall
        self._loop = asyncio.get_running_loop()
        self._written_before = 0
        self._writer: AbstractStreamWriter | None = None
        self._taken = 0
        self._moved_at = self._loop.time()
        self._timer = self._set_timer()

    def follow(self, writer: AbstractStreamWriter) -> None:
        """Count the bytes of one more answer."""
        if self._writer is not None:
            self._written_before += self._writer.output_size
        self._writer = writer

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _set_timer(self) -> asyncio.TimerHandle:
        return self._loop.call_later(self._limit_s / _LOOKS_PER_LIMIT, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        waiting = self._transport.get_write_buffer_size()
        current = 0 if self._writer is None else self._writer.output_size
        taken = self._written_before + current - waiting
        if waiting == 0 or taken - self._taken >= self._least_bytes:
            self._taken, self._moved_at = taken, now
        elif now - self._moved_at >= self._limit_s:
            self._on_stall()
            return
        self._timer = self._set_timer()
