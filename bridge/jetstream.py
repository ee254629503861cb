"""The durable bridge: runs in a JetStream log that any process can publish to and follow.

The server holds the state. What this object remembers, it can forget at any time.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import islice
from typing import Any, Final

from bridge.assembly import AssembledBridge
from bridge.consumption import ClaimSource, ConsumerInfo, ConsumerSpec
from bridge.dead_letters import DeadLetter
from bridge.errors import (
    BatchTooLargeError,
    EventTooLargeError,
    InvalidEventError,
    ReservedEventError,
)
from bridge.events import RESERVED_EVENTS, NewEvent, StreamEvent, StreamInfo, Terminal
from bridge.flight import MAX_BATCH_EVENTS
from bridge.follower import Follower
from bridge.history import RunHistory
from bridge.ids import EventId, check_id
from bridge.leases import ThreadLeases
from bridge.lifecycle import attempt_event, terminal_event
from bridge.log_state import LogState, read_log_state
from bridge.retention.run_holders import RunHolders
from bridge.stats import CLOSED_STATS, StreamStats
from bridge.stream_bridge import HEARTBEAT_S, Following
from bridge.subjects import RunRef
from bridge.subscription import Subscription
from bridge.thread_follower import ThreadFollower
from bridge.writer import RunWriter

#: Room for an event's headers within the server's limit for one message.
HEADER_ROOM_BYTES: Final = 2048


class JetStreamBridge(AssembledBridge):
    """A bridge to the log of a NATS server or cluster; all its calls belong on one event loop.

    Args:
        settings: Where the server is, and the limits of the log.
        name: How the connection is called in the server's monitoring.
        cold: Where events are read from that have left the log; ``None``: they are gone.

    Attributes:
        assets: How streams and queues are, for whoever looks after them.
        calls: Questions to one of those who answer to a name.
        checkpoints: What runs resume from.
        items: Values that all processes share.
        metrics: The figures of this bridge, for Prometheus.
        retention: The sweeps that let runs leave; each role runs its own.
    """

    async def create(self, run_id: str, *, thread_id: str) -> str:
        """Bring a run's stream into being; see :meth:`StreamBridge.create`."""
        self._check_open()
        return str(await self._births.create(RunRef.checked(thread_id, run_id)))

    async def begin_attempt(self, run_id: str, attempt: int) -> str:
        """Append the attempt's ``metadata``; see :meth:`StreamBridge.begin_attempt`."""
        self._check_open()
        run = await self._refs.get_writable(run_id)
        metadata = attempt_event(run, attempt)
        return str(await self._writers.of(run).begin_attempt(attempt, metadata))

    async def publish_event(self, run_id: str, event: NewEvent) -> str:
        """Append one encoded event; see :meth:`StreamBridge.publish`."""
        self._check_open()
        size_bytes = self._check_event(event)
        writer = await self._writer(run_id)
        self._room.admit(size_bytes)
        if self._connection.spans is not None:
            return str((await self._append(writer, [event]))[0])
        return str((await writer.append([event]))[0])  # the usual case: no detour

    async def publish_many(self, run_id: str, events: Iterable[NewEvent]) -> list[str]:
        """Append all of ``events`` or none; see :meth:`StreamBridge.publish_many`."""
        self._check_open()
        batch = list(islice(events, MAX_BATCH_EVENTS + 1))
        if len(batch) > MAX_BATCH_EVENTS:
            raise BatchTooLargeError(len(batch), MAX_BATCH_EVENTS)
        size_bytes = 0
        for event in batch:
            size_bytes += self._check_event(event)
            if event.event_id is not None:
                raise InvalidEventError("publish_many takes no event_id; publish those singly")
        writer = await self._writer(run_id)
        if not batch:
            return []
        self._room.admit(size_bytes)
        return [str(event_id) for event_id in await self._append(writer, batch)]

    async def publish_terminal(self, run_id: str, kind: Terminal | str, data: Any = None) -> str:
        """End the run for good; see :meth:`StreamBridge.publish_terminal`."""
        self._check_open()
        event = terminal_event(kind, data)
        size_bytes = self._check_size(event)
        writer = await self._writer(run_id)
        self._room.count(size_bytes)
        return str((await self._append(writer, [event]))[0])

    async def status(self, run_id: str) -> StreamInfo:
        """Read the state of a run's stream; see :meth:`StreamBridge.status`."""
        run = await self._known(run_id)
        return await self._stored.status(run, subscribers=self._tails.count(run))

    async def mark_awaiting_input(self, run_id: str) -> None:
        """Allow a longer silence; see :meth:`StreamBridge.mark_awaiting_input`."""
        self._check_open()
        run = await self._refs.find(run_id)
        newest = None if run is None else await self._log.run(run).find_last()
        if newest is not None and not newest.is_terminal:
            await self._awaiting.mark(newest)

    async def _delete(self, run_id: str) -> None:
        self._check_open()
        await self._deletion.delete(run_id)

    async def newest_events(self) -> AsyncGenerator[list[StreamEvent]]:
        """Yield the newest event of every run of the log, page by page, in no particular order.

        Raises:
            UnavailableError: The server fell silent.
        """
        self._check_open()
        async for page in self._stored.newest_events():
            yield page

    async def get_stats(self) -> StreamStats:
        """Count the runs of the log; see :meth:`StreamBridge.get_stats`."""
        if not self._is_open:
            return CLOSED_STATS
        return await self._stored.count(subscribers=self._tails.total)

    async def log_state(self) -> LogState:
        """Return how full log and job queue are, and how many servers keep the log.

        Raises:
            UnavailableError: The server fell silent.
        """
        self._check_open()
        return await read_log_state(self._connection, self._subjects)

    @asynccontextmanager
    async def follow(
        self,
        run_id: str,
        *,
        last_event_id: str | None = None,
        heartbeat_interval: float = HEARTBEAT_S,
    ) -> AsyncGenerator[Following]:
        """Open a run for reading in batches; see :meth:`StreamBridge.follow`."""
        run = await self._known(run_id)
        run_log = self._log.run(run)
        from_birth = last_event_id is None
        async with self._tails.join(run_log, from_birth=from_birth) as (tail, inbox):
            history = RunHistory(self._log, run_log, self._cold)
            follower = Follower(history, run_log, tail, inbox, heartbeat_interval)
            if inbox.is_from_birth:
                follower.open_at_birth()
            else:
                await follower.open(last_event_id)
            yield follower

    @asynccontextmanager
    async def follow_thread(
        self, thread_id: str, *, heartbeat_interval: float = HEARTBEAT_S
    ) -> AsyncGenerator[ThreadFollower]:
        """Open all runs of a thread for reading in the order of the log, those to come included.

        Costs a core subscription for each thread that is followed in this process, and no consumer.

        Args:
            thread_id: The thread; nothing is created by asking.
            heartbeat_interval: Seconds of silence after which the leader is asked.

        Raises:
            InvalidIdError: ``thread_id`` is not one subject token.
            UnavailableError: The server fell silent.
        """
        self._check_open()
        async with self._thread_tails.join(check_id("thread_id", thread_id)) as (tail, watcher):
            yield ThreadFollower(self._log, thread_id, tail, watcher, heartbeat_interval)

    async def trim(self, run_id: str, *, keep: int) -> int:
        """Evict all but the newest events of a run; readers that miss them are told.

        Args:
            run_id: The run.
            keep: How many events stay, at least 1: the newest one guards the run's end.

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
        return await self._stored.trim(await self._known(run_id), keep=keep)

    async def claim(self, run: RunRef) -> None:
        """Note whose a run is; see :meth:`RunBridge.claim`."""
        self._check_open()
        await self._births.claim(run)

    def expect_reader(self, run: RunRef) -> None:
        """Make ready for who follows a run from its birth; see :meth:`RunBridge.expect_reader`."""
        self._check_open()
        self._tails.expect(self._log.run(run))

    async def disclaim(self, run: RunRef) -> None:
        """Take back a claim; see :meth:`RunBridge.disclaim`."""
        self._check_open()
        await self._births.disclaim(run)

    def remember(self, run: RunRef) -> None:
        """Take for known whose a run is; see :meth:`RunBridge.remember`."""
        self._refs.remember(run)

    async def find_thread(self, run_id: str) -> str | None:
        """Return the thread that owns a run; see :meth:`RunBridge.find_thread`."""
        self._check_open()
        run = await self._refs.find(run_id)
        return None if run is None else run.thread_id

    async def is_deleted(self, run_id: str) -> bool:
        """Whether a run was deleted; see :meth:`RunBridge.is_deleted`."""
        self._check_open()
        return await self._refs.is_deleted(run_id)

    async def find_event(self, run_id: str, event_id: str) -> StreamEvent | None:
        """Return one event of a run by its id; ``None`` when neither log nor archive holds it."""
        run = await self._known(run_id)
        sealed = self._writers.sealed(run)
        if sealed is not None and sealed.id == event_id:
            return sealed
        return await self._stored.find_event(run, event_id)

    async def read_archived(
        self, run: RunRef, after_run_seq: int, *, limit: int = 500
    ) -> Sequence[StreamEvent]:
        """Return the next archived events of a run, ascending; none without an archive.

        Raises:
            ColdTierError: The archive is there and cannot be read; try again.
        """
        self._check_open()
        return await self._stored.read_archived(run, after_run_seq, limit=limit)

    def has_written(self, event: StreamEvent) -> bool:
        """Whether this bridge stored an event, and no other one; it forgets after a while."""
        return self._writers.of(event.run).has_written(event)

    async def read_after(
        self, run: RunRef, run_seq: int, *, stream_seq: int = 0, limit: int = 500
    ) -> list[StreamEvent]:
        """Read history in bulk: the events above ``run_seq``, in order, at most ``limit``.

        Args:
            run: The run.
            run_seq: The last event's number that counts as known; 0 reads from the start.
            stream_seq: Where that event stands in the stream, when known: spares a search.
            limit: At most so many; fewer do not mean that the end was reached.
        """
        self._check_open()
        return await self._stored.read_after(run, run_seq, stream_seq=stream_seq, limit=limit)

    async def is_logged(self, run: RunRef) -> bool:
        """Whether the log holds any event of a run; one that has left it is known all the same.

        Raises:
            UnavailableError: The server fell silent.
        """
        self._check_open()
        return await self._stored.is_logged(run)

    def leases(self, *, every_s: float, max_blocked_s: float) -> ThreadLeases:
        """Make what holds on to the jobs of this process; see :class:`ThreadLeases`."""
        return ThreadLeases(
            self._settings,
            every_s=every_s,
            max_blocked_s=max_blocked_s,
            figures=self._lease_figures,
        )

    def sweeping(self, holders: RunHolders | None = None) -> AbstractAsyncContextManager[None]:
        """End silent runs; see :meth:`Retention.sweeping`."""
        return self.retention.sweeping(holders)

    async def list_runs(self, thread_id: str) -> list[str]:
        """Return a thread's runs; see :meth:`RunBridge.list_runs`."""
        self._check_open()
        return await self._log.list_runs(check_id("thread_id", thread_id))

    async def _open_source(self, spec: ConsumerSpec) -> ClaimSource:
        self._check_open()
        return await self._names.open_source(spec)

    @asynccontextmanager
    async def subscription(
        self,
        name: str,
        *,
        thread_id: str,
        run_id: str | None = None,
        ack_wait_s: float = 30.0,
        idle_s: float | None = None,
    ) -> AsyncGenerator[Subscription]:
        """Read one run, or all runs of a thread, in strict order from a position kept by name.

        One reader has the name at a time: opening it takes it from whoever has it. Unlike with
        :meth:`consume` nothing is shared and nothing is given up. Its consumers are named
        ``{name}_{number}``, a new one for each opening.

        Args:
            name: One subject token.
            thread_id: The thread.
            run_id: The run in it; None reads all of them.
            ack_wait_s: Seconds after which an unacknowledged event is handed out again.
            idle_s: Seconds without a reader after which the name is removed; None:
                ``consumer_idle_s``.

        Raises:
            InvalidIdError: A name or id is not one subject token.
            ConsumerDriftError: The name stands for another run or thread.
            ConsumerLimitError: As many consumers exist as may exist.
            SubscriptionTakenError: Too many others opened it at the same moment.
            UnavailableError: The server fell silent.
        """
        self._check_open()
        async with self._names.subscription(
            name, thread_id=thread_id, run_id=run_id, ack_wait_s=ack_wait_s, idle_s=idle_s
        ) as subscription:
            yield subscription

    async def list_consumers(self) -> list[ConsumerInfo]:
        """Return every name; see :meth:`Consuming.list_consumers`."""
        self._check_open()
        return await self._names.list()

    async def get_consumer(self, name: str) -> ConsumerInfo:
        """Return one name; see :meth:`Consuming.get_consumer`."""
        self._check_open()
        return await self._names.get(name)

    async def delete_consumer(self, name: str) -> None:
        """Forget a name; see :meth:`Consuming.delete_consumer`."""
        self._check_open()
        await self._names.delete(name)

    async def list_dead_letters(
        self, name: str, *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return what a consumer gave up; see :meth:`Consuming.list_dead_letters`."""
        self._check_open()
        return await self._names.list_dead_letters(name, after=after, limit=limit)

    async def last_sequence(self) -> int:
        """Return the sequence of the newest event that the log ever held."""
        self._check_open()
        return await self._log.last_sequence()

    def _check_event(self, event: NewEvent) -> int:
        if event.event in RESERVED_EVENTS:
            raise ReservedEventError(event.event)
        return self._check_size(event)

    def _check_size(self, event: NewEvent) -> int:
        size_bytes = len(event.payload) + len(event.metadata or b"")
        limit = min(
            self._connection.max_payload - HEADER_ROOM_BYTES,
            self._settings.retention.max_bytes_per_run,
        )
        if size_bytes > limit:
            raise EventTooLargeError(size_bytes, limit)
        return size_bytes

    async def _append(self, writer: RunWriter, events: Sequence[NewEvent]) -> list[EventId]:
        spans = self._connection.spans
        if spans is None:
            return await writer.append(events)
        with spans.publishing(writer.run, events) as traced:
            return await writer.append(traced)

    async def _known(self, run_id: str) -> RunRef:
        self._check_open()
        return await self._refs.get(run_id)

    async def _writer(self, run_id: str) -> RunWriter:
        # The usual case goes without a detour.
        run = self._refs.recall(run_id) or await self._refs.get_writable(run_id)
        return self._writers.of(run)
