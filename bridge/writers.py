"""The writers of all runs that this process publishes to, bounded in number."""

import asyncio
from collections import OrderedDict
from typing import Final

from bridge.connection import Connection
from bridge.errors import BridgeClosedError
from bridge.event_log import EventLog
from bridge.events import StreamEvent
from bridge.metrics.publishing import PublishFigures
from bridge.retention.trimming import Marks
from bridge.settings import BridgeSettings
from bridge.subjects import RunRef
from bridge.writer import RunWriter

#: The server allows 50 open batches on a stream, and abandoned ones block all for 10 s.
MAX_OPEN_BATCHES: Final = 32


class RunWriters:
    """Finds or makes the writer of a run; forgets the longest unused ones that are idle.

    Args:
        connection: An open connection.
        log: The events of all runs.
        settings: Limits.

    Attributes:
        figures: What came of their flights.
    """

    def __init__(self, connection: Connection, log: EventLog, settings: BridgeSettings) -> None:
        self._connection = connection
        self._log = log
        self._settings = settings.log
        self._retention = settings.retention
        self._writers: OrderedDict[RunRef, RunWriter] = OrderedDict()
        self._batch_slots = asyncio.Semaphore(MAX_OPEN_BATCHES)
        self.figures = PublishFigures()

    def of(self, run: RunRef) -> RunWriter:
        """Return the writer of ``run``."""
        writer = self._writers.get(run)
        if writer is None:
            self._make_room()
            writer = self._writers[run] = RunWriter(
                self._connection,
                self._log.run(run),
                self._settings,
                self._batch_slots,
                self.figures,
                self._marks(),
            )
        else:
            self._writers.move_to_end(run)
        return writer

    @property
    def queued_events(self) -> int:
        """How many events of all runs wait to be sent."""
        return sum(writer.queued_events for writer in tuple(self._writers.values()))

    def sealed(self, run: RunRef) -> StreamEvent | None:
        """Return the event that ended ``run``, if it was stored from here not long ago."""
        writer = self._writers.get(run)
        return None if writer is None else writer.sealed

    def _marks(self) -> Marks | None:
        if self._settings.profile == "archive":
            return None  # what leaves must be archived, and only the sink knows what is
        limits = self._retention
        return Marks(limits.max_events_per_run, limits.max_bytes_per_run)

    def _make_room(self) -> None:
        """Forget idle writers; busy ones stay, and are bounded by the callers that wait."""
        excess = len(self._writers) + 1 - self._settings.max_cached_runs
        if excess <= 0:
            return
        idle = [run for run, writer in self._writers.items() if writer.is_idle]
        for run in idle[: excess + self._settings.max_cached_runs // 10]:
            del self._writers[run]

    async def close(self, timeout_s: float) -> None:
        """Let what is queued be stored within ``timeout_s`` seconds; then fail the rest."""
        drains = [asyncio.create_task(writer.drain()) for writer in self._writers.values()]
        if not drains:
            return
        _, late = await asyncio.wait(drains, timeout=timeout_s)
        for drain in late:
            drain.cancel()
        for writer in self._writers.values():
            writer.abort(BridgeClosedError())
        await asyncio.gather(*drains, return_exceptions=True)
