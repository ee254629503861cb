"""Watches a sink from inside: how far it is behind, how fast it is, and whether it shall pause.

What it knows is as of its last look, about a second ago. Nothing here holds the sink up: a server
that does not answer only leaves the figures old.
"""

import asyncio
import logging
import os
import socket
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from bridge import BridgeError, ConsumerNotFoundError, JetStreamBridge, timestamp
from bridge.beside import beside
from store.sink_status import CONSUMER, SinkRecords, SinkState, SinkStatus

_LOG = logging.getLogger(__name__)

#: Throughput is told of so many looks.
_LOOKS: Final = 5
#: Looks that are remembered of a sink that falls behind.
_MAX_SIGHTINGS: Final = 1024


class SinkMonitor:
    """Counts what a sink does, and tells it when to pause.

    Args:
        bridge: The log, open.
        root: The archive's directory.
        interval_s: Seconds between two looks.

    Attributes:
        halted: Set while the sink shall not archive: it is paused, or stopped.
    """

    def __init__(self, bridge: JetStreamBridge, root: Path, interval_s: float) -> None:
        self._bridge = bridge
        self._records = SinkRecords(bridge)
        self._root = root
        self._interval_s = interval_s
        self._process = f"{os.getpid()} on {socket.gethostname()}"
        self.halted = asyncio.Event()
        self._changed = asyncio.Event()
        # Nobody archives before it is known whether to pause.
        self._is_paused: bool | None = None
        self.halted.set()
        self._is_stopped = False
        self._is_writing = False
        self._events = self._failures = self._reached_seq = self._lag_events = 0
        self._is_failing = False
        self._last_error: tuple[str, str] | None = None
        self._counts = deque([(time.monotonic(), 0)], maxlen=_LOOKS + 1)
        self._lag = LogAge()

    def begins(self) -> None:
        """Note that this sink is the one that writes."""
        self._is_writing = True

    def ends(self) -> None:
        """Note that it is no longer."""
        self._is_writing = False

    def wrote(self, events: int, reached_seq: int) -> None:
        """Note that events are in the archive."""
        self._events += events
        self._reached_seq = reached_seq
        self._is_failing = False

    def failed(self, error: Exception) -> None:
        """Note that server or disk have refused."""
        self._failures += 1
        self._is_failing = True
        self._last_error = (str(error), timestamp())

    def status(self) -> SinkStatus:
        """Return what is known at this moment; asks nobody, and may be called from any thread."""
        error, error_at = self._last_error or (None, None)
        began, before = self._counts[0]
        return SinkStatus(
            state=self._state(),
            process=self._process,
            root=str(self._root),
            reached_seq=self._reached_seq,
            lag_events=self._lag_events,
            lag_s=round(self._lag.seconds(time.monotonic()), 3),
            events=self._events,
            events_per_s=round((self._events - before) / max(0.001, time.monotonic() - began), 1),
            failures=self._failures,
            last_error=error,
            last_error_at=error_at,
            updated_at=timestamp(),
        )

    def _state(self) -> SinkState:
        if self._is_writing:  # also while its last batch before a pause is under way
            return SinkState.FAILING if self._is_failing else SinkState.ARCHIVING
        return SinkState.PAUSED if self._is_paused else SinkState.STANDBY

    @asynccontextmanager
    async def watching(self, stop: asyncio.Event) -> AsyncGenerator[None]:
        """Look for the length of a context.

        Args:
            stop: Once it is set, the sink is halted for good.
        """
        waiting = self._await_stop(stop)
        async with beside(self._watch(), "sink watch"), beside(waiting, "sink stop"):
            yield

    async def may_archive(self, stop: asyncio.Event) -> bool:
        """Wait until the sink is not halted; returns ``False`` once it is stopped."""
        while self.halted.is_set() and not stop.is_set():
            await self._changed.wait()
            self._changed.clear()
        return not stop.is_set()

    async def _await_stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._is_stopped = True
        self.halted.set()
        self._changed.set()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(max(1.0, self._interval_s)):
                    await self._look()
            except (BridgeError, TimeoutError) as error:
                _LOG.debug("sink.look.failed", extra={"error": str(error)})
            self._counts.append((time.monotonic(), self._events))
            await asyncio.sleep(self._interval_s)

    async def _look(self) -> None:
        self._set_paused(is_paused=await self._records.is_paused())
        log_seq = await self._bridge.last_sequence()
        with suppress(ConsumerNotFoundError):  # no sink has ever been there
            info = await self._bridge.get_consumer(CONSUMER)
            self._lag_events = info.waiting + info.unacknowledged
            archived_seq = log_seq if info.is_caught_up else info.acknowledged_seq
            self._lag.note(time.monotonic(), log_seq=log_seq, archived_seq=archived_seq)
        if self._is_writing or self._is_paused:
            await self._records.say(self.status())

    def _set_paused(self, *, is_paused: bool) -> None:
        if is_paused == self._is_paused:
            return
        if is_paused or self._is_paused:
            _LOG.info("sink.paused" if is_paused else "sink.resumed")
        self._is_paused = is_paused
        if is_paused:
            self.halted.set()
        elif not self._is_stopped:
            self.halted.clear()
        self._changed.set()


class LogAge:
    """Tells how long the oldest event that is not archived has been seen in the log."""

    def __init__(self) -> None:
        self._sightings: deque[tuple[float, int]] = deque()

    def note(self, now: float, *, log_seq: int, archived_seq: int) -> None:
        """Note how far log and archive have come."""
        while self._sightings and self._sightings[0][1] <= archived_seq:
            self._sightings.popleft()
        last_seen = self._sightings[-1][1] if self._sightings else archived_seq
        if log_seq > last_seen:
            if len(self._sightings) == _MAX_SIGHTINGS:
                self._sightings.pop()
            self._sightings.append((now, log_seq))

    def seconds(self, now: float) -> float:
        """Return the age; 0 when all is archived."""
        return now - self._sightings[0][0] if self._sightings else 0.0
