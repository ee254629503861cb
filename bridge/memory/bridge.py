"""The event log of one process: the whole contract of a bridge, without a server or durability.

For tests, for embedding, and as a measure of what the durable log costs. What it keeps is bounded
by its settings, and is gone with the process.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any, Self

from bridge.beside import beside
from bridge.cold_tier import NO_COLD_TIER, ColdTier, find_archived
from bridge.consumption import ClaimSource, ConsumerInfo, ConsumerSpec
from bridge.coordination import NoCheckpoints
from bridge.dead_letters import MAX_LISTED, DeadLetter
from bridge.errors import (
    BatchTooLargeError,
    BridgeClosedError,
    ConflictError,
    InvalidEventError,
    ReservedEventError,
    StreamFencedError,
    StreamNotFoundError,
)
from bridge.events import (
    RESERVED_EVENTS,
    STATUS_OF_EVENT,
    NewEvent,
    StreamEvent,
    StreamInfo,
    StreamStatus,
    Terminal,
)
from bridge.flight import MAX_BATCH_EVENTS
from bridge.ids import EventId, check_id, new_id, parse_cursor
from bridge.lifecycle import FIRST_ATTEMPT, attempt_event, terminal_event
from bridge.memory.deliveries import MemorySource
from bridge.memory.following import MemoryFollowing
from bridge.memory.holding import MemoryLeases
from bridge.memory.run_log import RunLog
from bridge.memory.server import MemoryServer
from bridge.memory.settings import MemorySettings
from bridge.memory.sweep import MemorySweep
from bridge.retention.run_holders import NoHolders, RunHolders
from bridge.run_bridge import RunBridge
from bridge.stats import CLOSED_STATS, StreamStats, Tally
from bridge.stream_bridge import HEARTBEAT_S, Following
from bridge.subjects import RunRef


class MemoryStreamBridge(RunBridge):
    """A bridge to a log in the memory of this process; all its calls belong on one event loop.

    Args:
        settings: How much is kept.
        cold: Where events are read from that were evicted; ``None``: they are gone.
    """

    def __init__(
        self, settings: MemorySettings | None = None, *, cold: ColdTier | None = None
    ) -> None:
        self._settings = settings or MemorySettings()
        self._share(MemoryServer(self._settings))
        self._cold = cold or NO_COLD_TIER
        self._writer = new_id()
        self._readers: set[MemoryFollowing] = set()
        self._is_open = False

    def peer(self) -> Self:
        """Make another bridge to the same log, as another process has one to the same server."""
        other = type(self)(self._settings, cold=self._cold)
        other._share(self._server)  # noqa: SLF001 - of the same class
        return other

    def _share(self, server: MemoryServer) -> None:
        self._server = server
        self._log = server.log
        self.states = self.state_feed = server.states
        self.secrets = server.secrets
        self.jobs = server.jobs
        self.timers = server.timers
        self.controls = server.controls
        self.holders = server.holders
        self.checkpoints = NoCheckpoints()

    async def start(self) -> None:
        """Open the bridge; what an earlier session stored is still there."""
        self._is_open = True

    async def close(self) -> None:
        """Refuse further calls, and let readers have what is there, then ``CANCELLED``."""
        self._is_open = False
        for reader in self._readers:
            reader.cancel()
        self._log.consumers.wake()

    async def create(self, run_id: str, *, thread_id: str) -> str:
        """Bring a run's stream into being; see :meth:`StreamBridge.create`."""
        self._check_open()
        return self._log.create(RunRef.checked(thread_id, run_id), self._writer).birth.id

    async def begin_attempt(self, run_id: str, attempt: int) -> str:
        """Append the attempt's ``metadata``; see :meth:`StreamBridge.begin_attempt`."""
        self._check_open()
        log = self._known(run_id)
        event = attempt_event(log.run, attempt)
        log.refuse_ended()
        is_repeat = attempt == log.attempts.get(self._writer) or attempt == FIRST_ATTEMPT
        if attempt < log.attempt or (attempt == log.attempt and not is_repeat):
            raise StreamFencedError(run_id, attempt, log.attempt)
        if attempt > log.attempt:
            log.attempt_id = self._append(log, [event])[0]
            log.attempt = attempt
        log.attempts[self._writer] = attempt
        return log.attempt_id

    async def publish_event(self, run_id: str, event: NewEvent) -> str:
        """Append one encoded event; see :meth:`StreamBridge.publish`."""
        log = await self._writable(run_id, [event])
        known = None if event.event_id is None else log.find_published(event.event_id)
        if known is not None:
            return str(known)
        log.refuse_ended()
        return self._append(log, [event])[0]

    async def publish_many(self, run_id: str, events: Iterable[NewEvent]) -> list[str]:
        """Append all of ``events`` or none; see :meth:`StreamBridge.publish_many`."""
        batch = list(islice(events, MAX_BATCH_EVENTS + 1))
        if len(batch) > MAX_BATCH_EVENTS:
            raise BatchTooLargeError(len(batch), MAX_BATCH_EVENTS)
        if any(event.event_id is not None for event in batch):
            raise InvalidEventError("publish_many takes no event_id; publish such events singly")
        log = await self._writable(run_id, batch)
        log.refuse_ended()
        return self._append(log, batch) if batch else []

    async def publish_terminal(self, run_id: str, kind: Terminal | str, data: Any = None) -> str:
        """End the run for good; see :meth:`StreamBridge.publish_terminal`."""
        self._check_open()
        event = terminal_event(kind, data)
        log = self._known(run_id)
        self._refuse_fenced(log)
        if log.terminal is not None:
            return log.terminal.id
        return self._append(log, [event])[0]

    async def status(self, run_id: str) -> StreamInfo:
        """Read the state of a run's stream; see :meth:`StreamBridge.status`."""
        self._check_open()
        log = self._log.get(check_id("run_id", run_id))
        return StreamInfo(
            run_id=log.run.run_id,
            thread_id=log.run.thread_id,
            status=STATUS_OF_EVENT.get(log.last.event, StreamStatus.ACTIVE),
            first_id=log.first.id,
            last_id=log.last.id,
            event_count=log.last.run_seq,
            total_bytes=log.last.total_bytes,
            subscribers=log.readers,
            created_at=log.first.created_at,
            updated_at=log.last.created_at,
            terminal=log.terminal,
            awaiting_input=log.awaits_input,
        )

    async def mark_awaiting_input(self, run_id: str) -> None:
        """Allow a longer silence; see :meth:`StreamBridge.mark_awaiting_input`."""
        self._check_open()
        with suppress(StreamNotFoundError):
            log = self._log.get(check_id("run_id", run_id))
            log.awaits_after = log.last

    async def _delete(self, run_id: str) -> None:
        self._check_open()
        self._log.delete(run_id, self._writer)

    @asynccontextmanager
    async def sweeping(self, holders: RunHolders | None = None) -> AsyncGenerator[None]:
        """Let ended runs go in time and end abandoned ones, for the length of a context.

        Without it only the counts and bytes of the settings bound the log.

        Args:
            holders: Who holds runs; ``None`` when nobody does but their publishers.
        """
        self._check_open()
        sweep = MemorySweep(self._log, self._settings, holders or NoHolders(), self._writer)
        async with beside(sweep.run(), "memory sweep"):
            yield

    async def get_stats(self) -> StreamStats:
        """Count the runs of the log; see :meth:`StreamBridge.get_stats`."""
        if not self._is_open:
            return CLOSED_STATS
        tally = Tally()
        tally.add(log.last for log in self._log.runs())
        return tally.stats(len(self._readers))

    @asynccontextmanager
    async def follow(
        self,
        run_id: str,
        *,
        last_event_id: str | None = None,
        heartbeat_interval: float = HEARTBEAT_S,
    ) -> AsyncGenerator[Following]:
        """Open a run for reading in batches; see :meth:`StreamBridge.follow`."""
        self._check_open()
        log = self._log.get(check_id("run_id", run_id))
        reader = MemoryFollowing(self._log, log, self._cold, heartbeat_interval)
        await reader.open(last_event_id)
        self._readers.add(reader)
        log.readers += 1
        try:
            yield reader
        finally:
            log.readers -= 1
            self._readers.discard(reader)

    async def trim(self, run_id: str, *, keep: int) -> int:
        """Evict all but the newest events of a run; readers that miss them are told.

        Args:
            run_id: The run.
            keep: How many events stay, at least 1.

        Returns:
            How many events went.

        Raises:
            ValueError: ``keep`` is less than 1.
            StreamNotFoundError: Nobody created the run.
        """
        self._check_open()
        if keep < 1:
            msg = f"at least one event of a run stays, so keep must be 1 or more, got {keep}"
            raise ValueError(msg)
        return self._log.trim(self._log.get(check_id("run_id", run_id)), keep)

    def leases(self, *, every_s: float, max_blocked_s: float) -> MemoryLeases:
        """Make what holds on to jobs; see :meth:`RunBridge.leases`."""
        return MemoryLeases(self._server.holders, every_s=every_s, max_blocked_s=max_blocked_s)

    async def find_thread(self, run_id: str) -> str | None:
        """Return the thread that owns a run; see :meth:`RunBridge.find_thread`."""
        self._check_open()
        check_id("run_id", run_id)
        with suppress(StreamNotFoundError):
            return self._log.get(run_id).run.thread_id
        return None

    async def is_deleted(self, run_id: str) -> bool:
        """Whether a run was deleted; see :meth:`RunBridge.is_deleted`."""
        self._check_open()
        return self._log.has_departed(check_id("run_id", run_id))

    async def find_event(self, run_id: str, event_id: str) -> StreamEvent | None:
        """Return one event by its id; see :meth:`RunBridge.find_event`."""
        self._check_open()
        log = self._log.get(check_id("run_id", run_id))
        cursor = parse_cursor(event_id)
        if not isinstance(cursor, EventId):
            return None
        event = log.events.get(cursor.run_seq)
        if event is None:
            event = await find_archived(self._cold, log.run, cursor.run_seq)
        return event if event is not None and event.event_id == cursor else None

    async def list_runs(self, thread_id: str) -> list[str]:
        """Return a thread's runs; see :meth:`RunBridge.list_runs`. Linear in all runs."""
        self._check_open()
        return self._log.runs_of(check_id("thread_id", thread_id))

    async def _open_source(self, spec: ConsumerSpec) -> ClaimSource:
        self._check_open()
        if spec.run_id is not None:
            run = self._log.get(spec.run_id).run
            if spec.thread_id not in (None, run.thread_id):
                raise ConflictError(f"run {run.run_id} is not of thread {spec.thread_id}")
        consumers = self._log.consumers
        consumer = consumers.open(spec, self._log.last_seq)
        return MemorySource(consumers, consumer, lambda: self._log.last_seq, lambda: self._is_open)

    async def list_consumers(self) -> list[ConsumerInfo]:
        """Return every name; see :meth:`Consuming.list_consumers`."""
        self._check_open()
        return self._log.consumers.infos(self._log.last_seq)

    async def get_consumer(self, name: str) -> ConsumerInfo:
        """Return one name; see :meth:`Consuming.get_consumer`."""
        self._check_open()
        return self._log.consumers.info(check_id("consumer", name), self._log.last_seq)

    async def delete_consumer(self, name: str) -> None:
        """Forget a name; see :meth:`Consuming.delete_consumer`."""
        self._check_open()
        self._log.consumers.delete(check_id("consumer", name))

    async def list_dead_letters(
        self, name: str, *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return what a consumer gave up; see :meth:`Consuming.list_dead_letters`."""
        self._check_open()
        check_id("consumer", name)
        return self._log.consumers.dead_letters(name, after, min(limit, MAX_LISTED))

    def _check_open(self) -> None:
        if not self._is_open:
            raise BridgeClosedError

    def _known(self, run_id: str) -> RunLog:
        check_id("run_id", run_id)
        self._log.refuse_departed(run_id)
        return self._log.get(run_id)

    async def _writable(self, run_id: str, events: Sequence[NewEvent]) -> RunLog:
        self._check_open()
        for event in events:
            if event.event in RESERVED_EVENTS:
                raise ReservedEventError(event.event)
        # Nothing else here waits: without this turn a burst would starve the readers.
        await asyncio.sleep(0)
        self._check_open()
        log = self._known(run_id)
        self._refuse_fenced(log)
        return log

    def _refuse_fenced(self, log: RunLog) -> None:
        attempt = log.attempts.get(self._writer)
        if attempt is not None and attempt < log.attempt:
            raise StreamFencedError(log.run.run_id, attempt, log.attempt)

    def _append(self, log: RunLog, events: Sequence[NewEvent]) -> list[str]:
        return [event.id for event in self._log.append(log, events, self._writer)]
