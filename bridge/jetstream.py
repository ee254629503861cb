"""The durable bridge: runs in a JetStream log that any process can publish to and follow.

The server holds the state. What this object remembers, it can forget at any time.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import islice
from typing import Any, Final

from bridge.awaiting import AwaitingInput
from bridge.calls import CallChannel
from bridge.checkpoints.log import CheckpointLog
from bridge.cold_tier import NO_COLD_TIER, ColdTier, find_archived
from bridge.connection import Connection
from bridge.consumers import Consumers
from bridge.consumption import ClaimSource, ConsumerInfo, ConsumerSpec
from bridge.controls import CoreControls
from bridge.dead_letters import MAX_LISTED, DeadLetter, DeadLetters
from bridge.deletion import delete_events
from bridge.errors import (
    BatchTooLargeError,
    BridgeClosedError,
    ConflictError,
    EventTooLargeError,
    InvalidEventError,
    ReservedEventError,
    StreamNotFoundError,
    StreamTerminatedError,
)
from bridge.event_log import EventLog
from bridge.events import (
    DELETED,
    RESERVED_EVENTS,
    STATUS_OF_EVENT,
    NewEvent,
    StreamEvent,
    StreamInfo,
    StreamStatus,
    Terminal,
)
from bridge.flight import MAX_ATOMIC_EVENTS
from bridge.follower import Follower
from bridge.history import RunHistory
from bridge.ids import SHARDS, EventId, check_id, parse_cursor, shard_token
from bridge.items.items import Items
from bridge.jobs import JetStreamJobQueue
from bridge.leases import ThreadLeases
from bridge.lifecycle import attempt_event, terminal_event
from bridge.retention.policy import Retention
from bridge.retention.room import LogRoom
from bridge.retention.run_holders import RunHolders
from bridge.retention.survey import Survey
from bridge.roll_call import RollCall
from bridge.run_bridge import RunBridge
from bridge.run_refs import RunRefs
from bridge.seals import Seals
from bridge.settings import BridgeSettings
from bridge.state import JetStreamStates
from bridge.state_feed import JetStreamStateFeed
from bridge.stats import CLOSED_STATS, StreamStats, Tally
from bridge.stream_bridge import HEARTBEAT_S, Following
from bridge.stream_reader import StreamReader
from bridge.subjects import RunRef, Subjects
from bridge.subscription import Subscription, SubscriptionNames
from bridge.tail import Tails
from bridge.timers import JetStreamTimers
from bridge.topology import ensure_streams
from bridge.writer import RunWriter
from bridge.writers import RunWriters

#: Room for an event's headers within the server's limit for one message.
HEADER_ROOM_BYTES: Final = 2048


class JetStreamBridge(RunBridge):
    """A bridge to the log of a NATS server or cluster; all its calls belong on one event loop.

    Args:
        settings: Where the server is, and the limits of the log.
        name: How the connection is called in the server's monitoring.
        cold: Where events are read from that have left the log; ``None``: they are gone.

    Attributes:
        calls: Questions to one of those who answer to a name.
        checkpoints: What runs resume from.
        items: Values that all processes share.
        retention: The sweeps that let runs leave; each role runs its own.
    """

    calls: CallChannel
    checkpoints: CheckpointLog
    items: Items
    retention: Retention

    def __init__(
        self,
        settings: BridgeSettings | None = None,
        *,
        name: str = "jetrun",
        cold: ColdTier | None = None,
    ) -> None:
        self._settings = settings or BridgeSettings()
        self._cold = cold or NO_COLD_TIER
        self._name = name
        self._subjects = Subjects(self._settings.log.prefix)
        self._is_open = False
        self._aside = AsyncExitStack()

    async def start(self) -> None:
        """Connect, make or verify the JetStream assets, and open the bridge.

        Raises:
            UnavailableError: No server answered in time.
            AccessDeniedError: The server refused the credentials.
            ServerTooOldError: The server is older than 2.12.
            JetStreamDisabledError: The account has no JetStream.
            TopologyDriftError: An asset differs from what is wanted; nothing was changed.
        """
        connection = Connection(self._settings, name=self._name)
        await connection.open()
        try:
            await ensure_streams(connection, self._settings)
            self._assemble(connection)
            await self._aside.enter_async_context(self._room)
            readers = RollCall(connection, self._subjects.readers)
            await self._aside.enter_async_context(readers.answer(self._tails.find_read))
        except BaseException:
            await self._aside.aclose()
            await connection.close()
            raise
        self._is_open = True

    def _assemble(self, connection: Connection) -> None:
        limits = self._settings.log
        self._connection = connection
        self._reader = self._stream_reader(self._subjects.events_stream)
        state_reader = self._stream_reader(self._subjects.state_stream)
        self._seals = Seals(connection, state_reader, self._subjects)
        self._log = EventLog(self._reader, self._subjects, self._seals)
        self._writers = RunWriters(connection, self._log, self._settings)
        self._tails = Tails(connection, self._subjects, limits)
        self._dead_letters = DeadLetters(
            connection, self._stream_reader(self._subjects.dead_stream), self._subjects
        )
        self._consumers = Consumers(
            connection, self._subjects, self._dead_letters, idle_s=limits.consumer_idle_s
        )
        self.states = JetStreamStates(connection, state_reader, self._subjects)
        self.state_feed = JetStreamStateFeed(state_reader, self._subjects.all_state)
        self._refs = RunRefs(self.states, max_cached=limits.max_cached_runs)
        self._awaiting = AwaitingInput(self.states)
        self._survey = Survey(self._reader, self._subjects)
        self._room = LogRoom(self._reader, self._settings)
        self.jobs = JetStreamJobQueue(connection, self._subjects)
        self.timers = JetStreamTimers(connection, self._subjects)
        self.controls = CoreControls(connection, self._subjects)
        self.calls = CallChannel(connection, self._subjects)
        self.checkpoints = CheckpointLog(
            connection, self._stream_reader(self._subjects.checkpoints_stream), self._settings
        )
        self.items = Items(
            connection,
            self._stream_reader(self._subjects.items_stream),
            self._subjects,
            self._settings.items,
        )
        self.retention = Retention(
            connection,
            self._log,
            self.states,
            seals=self._seals,
            survey=self._survey,
            room=self._room,
            settings=self._settings,
        )
        self.holders = RollCall(connection, self._subjects.holders)

    def _stream_reader(self, stream: str) -> StreamReader:
        return StreamReader(
            self._connection,
            stream,
            max_concurrent_reads=self._settings.log.max_concurrent_reads,
            timeout_s=self._settings.log.request_timeout_s,
        )

    async def close(self) -> None:
        """Store what is queued within ``close_timeout_s``, send readers ``CANCELLED``, close."""
        if not self._is_open:
            return
        self._is_open = False
        await self._writers.close(self._settings.log.close_timeout_s)
        self._tails.close()
        await self._aside.aclose()
        await self._connection.close()

    @property
    def is_connected(self) -> bool:
        """Whether the server is there at this moment."""
        return self._is_open and self._connection.is_connected

    async def create(self, run_id: str, *, thread_id: str) -> str:
        """Bring a run's stream into being; see :meth:`StreamBridge.create`."""
        self._check_open()
        run = RunRef.checked(thread_id, run_id)
        if not self._room.has_room_for_run:
            await self._refuse_new(run)
        started_s = asyncio.get_running_loop().time()
        is_ours = await self._refs.claim(run)
        if not is_ours:
            await self._refuse_departed(run)
        birth = await self._writers.of(run).create(attempt_event(run))
        took_s = asyncio.get_running_loop().time() - started_s
        if not is_ours or took_s > self._settings.log.request_timeout_s:
            # A run that leaves altogether leaves an empty log, in which a creator that had looked
            # before could give birth to it again.
            await self._refuse_departed(run, birth)
        self._room.count_run()
        return str(birth)

    async def _refuse_departed(self, run: RunRef, birth: EventId | None = None) -> None:
        seal = await self._seals.find(run)
        is_deleted = seal is None and await self._refs.is_deleted(run.run_id)
        if seal is None and not is_deleted:
            return
        if birth is not None:
            await self._log.run(run).purge(below_seq=birth.stream_seq + 1)
        if is_deleted:
            self._refs.forget(run.run_id)
        raise StreamTerminatedError(run.run_id, DELETED if seal is None else seal.event)

    async def _refuse_new(self, run: RunRef) -> None:
        is_known = await self._refs.find_record(run.run_id) is not None
        if not is_known and not await self._refs.is_deleted(run.run_id):
            self._room.refuse_run()

    async def begin_attempt(self, run_id: str, attempt: int) -> str:
        """Append the attempt's ``metadata``; see :meth:`StreamBridge.begin_attempt`."""
        self._check_open()
        run = await self._refs.get_writable(run_id)
        metadata = attempt_event(run, attempt)
        return str(await self._writers.of(run).begin_attempt(attempt, metadata))

    async def publish_event(self, run_id: str, event: NewEvent) -> str:
        """Append one encoded event; see :meth:`StreamBridge.publish`."""
        self._check_open()
        self._check_event(event)
        writer = await self._writer(run_id)
        self._room.admit(_size(event))
        return str((await writer.append([event]))[0])

    async def publish_many(self, run_id: str, events: Iterable[NewEvent]) -> list[str]:
        """Append all of ``events`` or none; see :meth:`StreamBridge.publish_many`."""
        self._check_open()
        batch = list(islice(events, MAX_ATOMIC_EVENTS + 1))
        if len(batch) > MAX_ATOMIC_EVENTS:
            raise BatchTooLargeError(len(batch), MAX_ATOMIC_EVENTS)
        for event in batch:
            self._check_event(event)
            if event.event_id is not None:
                raise InvalidEventError("publish_many takes no event_id; publish those singly")
        writer = await self._writer(run_id)
        if not batch:
            return []
        self._room.admit(sum(_size(event) for event in batch))
        return [str(event_id) for event_id in await writer.append(batch)]

    async def publish_terminal(self, run_id: str, kind: Terminal | str, data: Any = None) -> str:
        """End the run for good; see :meth:`StreamBridge.publish_terminal`."""
        self._check_open()
        event = terminal_event(kind, data)
        self._check_size(event)
        writer = await self._writer(run_id)
        return str((await writer.append([event]))[0])

    async def status(self, run_id: str) -> StreamInfo:
        """Read the state of a run's stream; see :meth:`StreamBridge.status`."""
        run = await self._known(run_id)
        run_log = self._log.run(run)
        last = await run_log.last()
        first = await run_log.find_next(1)
        is_awaiting = await self._awaiting.is_marked(last)
        if first is None or last.event == DELETED:
            raise StreamNotFoundError(run_id)
        return StreamInfo(
            run_id=run.run_id,
            thread_id=run.thread_id,
            status=STATUS_OF_EVENT.get(last.event, StreamStatus.ACTIVE),
            first_id=first.id,
            last_id=last.id,
            event_count=last.run_seq,
            total_bytes=last.total_bytes,
            subscribers=self._tails.count(run),
            created_at=first.created_at,
            updated_at=last.created_at,
            terminal=last if last.is_terminal else None,
            awaiting_input=is_awaiting,
        )

    async def mark_awaiting_input(self, run_id: str) -> None:
        """Allow a longer silence; see :meth:`StreamBridge.mark_awaiting_input`."""
        self._check_open()
        run = await self._refs.find(run_id)
        newest = None if run is None else await self._log.run(run).find_last()
        if newest is not None and not newest.is_terminal:
            await self._awaiting.mark(newest)

    async def _delete(self, run_id: str) -> None:
        self._check_open()
        ref = await self._refs.find_record(run_id)
        if ref is None:
            if await self._refs.is_deleted(run_id):
                return
            raise StreamNotFoundError(run_id)
        run_log = self._log.run(RunRef(ref.value.decode(), run_id))
        ttl_s = self._settings.retention.deleted_ttl_s
        await delete_events(self._connection, run_log, ttl_s=ttl_s)
        await self._seals.forget(run_log.run)
        await self._dead_letters.forget(run_log.run)
        # The marker keeps those out who are on their way; this one all who come after it has gone.
        await self._refs.delete(ref)

    async def newest_events(self) -> AsyncGenerator[list[StreamEvent]]:
        """Yield the newest event of every run of the log, page by page, in no particular order.

        Raises:
            UnavailableError: The server fell silent.
        """
        self._check_open()
        for number in range(SHARDS):
            async for page in self._survey.shard(shard_token(number)):
                yield [sighting.newest for sighting in page]

    async def get_stats(self) -> StreamStats:
        """Count the runs of the log; see :meth:`StreamBridge.get_stats`."""
        if not self._is_open:
            return CLOSED_STATS
        tally = Tally()
        async for page in self.newest_events():
            tally.add(page)
        return tally.stats(self._tails.total)

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
        async with self._tails.join(run_log) as (tail, inbox):
            history = RunHistory(self._log, run_log, self._cold)
            follower = Follower(history, run_log, tail, inbox, heartbeat_interval)
            await follower.open(last_event_id)
            yield follower

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
        if keep < 1:
            msg = f"at least one event of a run stays, so keep must be 1 or more, got {keep}"
            raise ValueError(msg)
        run = await self._known(run_id)
        run_log = self._log.run(run)
        if (await run_log.last()).event == DELETED:
            raise StreamNotFoundError(run_id)
        return await run_log.purge(keep=keep)

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
        cursor = parse_cursor(event_id)
        run = await self._known(run_id)
        if not isinstance(cursor, EventId):
            return None
        event = await self._log.run(run).find(cursor.stream_seq)
        if event is None:
            event = await find_archived(self._cold, run, cursor.run_seq)
        return event if event is not None and event.event_id == cursor else None

    async def read_archived(
        self, run: RunRef, after_run_seq: int, *, limit: int = 500
    ) -> Sequence[StreamEvent]:
        """Return the next archived events of a run, ascending; none without an archive.

        Raises:
            ColdTierError: The archive is there and cannot be read; try again.
        """
        self._check_open()
        return await self._cold.read(run, after_run_seq=after_run_seq, limit=limit)

    def has_written(self, event: StreamEvent) -> bool:
        """Whether this bridge stored an event, and no other one; it forgets after a while."""
        return self._writers.of(RunRef(event.thread_id, event.run_id)).has_written(event)

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
        run_log = self._log.run(run)
        found: list[StreamEvent] = []
        complete = False
        while not found and not complete:
            events, complete = await run_log.read(stream_seq + 1, limit)
            found = [event for event in events if event.run_seq > run_seq]
            stream_seq = events[-1].event_id.stream_seq if events else stream_seq
        return found

    def leases(self, *, every_s: float, max_blocked_s: float) -> ThreadLeases:
        """Make what holds on to the jobs of this process; see :class:`ThreadLeases`."""
        return ThreadLeases(self._settings, every_s=every_s, max_blocked_s=max_blocked_s)

    def sweeping(self, holders: RunHolders | None = None) -> AbstractAsyncContextManager[None]:
        """End silent runs; see :meth:`Retention.sweeping`."""
        return self.retention.sweeping(holders)

    async def list_runs(self, thread_id: str) -> list[str]:
        """Return a thread's runs; see :meth:`RunBridge.list_runs`."""
        self._check_open()
        return await self._log.list_runs(check_id("thread_id", thread_id))

    async def _open_source(self, spec: ConsumerSpec) -> ClaimSource:
        self._check_open()
        if spec.run_id is not None:
            run = await self._known(spec.run_id)
            if spec.thread_id not in (None, run.thread_id):
                raise ConflictError(f"run {run.run_id} is not of thread {spec.thread_id}")
        return await self._consumers.open(spec)

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
        check_id("thread_id", thread_id)
        names = SubscriptionNames(
            self._connection,
            self._subjects,
            check_id("subscription", name),
            wanted=self._subjects.events_of(
                thread_id, None if run_id is None else check_id("run_id", run_id)
            ),
            ack_wait_s=ack_wait_s,
            idle_s=idle_s or self._settings.log.consumer_idle_s,
        )
        subscription = await names.open()
        try:
            yield subscription
        finally:
            await subscription.close()

    async def list_consumers(self) -> list[ConsumerInfo]:
        """Return every name; see :meth:`Consuming.list_consumers`."""
        self._check_open()
        return await self._consumers.list()

    async def get_consumer(self, name: str) -> ConsumerInfo:
        """Return one name; see :meth:`Consuming.get_consumer`."""
        self._check_open()
        return await self._consumers.get(check_id("consumer", name))

    async def delete_consumer(self, name: str) -> None:
        """Forget a name; see :meth:`Consuming.delete_consumer`."""
        self._check_open()
        await self._consumers.delete(check_id("consumer", name))

    async def list_dead_letters(
        self, name: str, *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return what a consumer gave up; see :meth:`Consuming.list_dead_letters`."""
        self._check_open()
        check_id("consumer", name)
        return await self._dead_letters.list(name, after=after, limit=min(limit, MAX_LISTED))

    async def first_sequence(self) -> int:
        """Return the sequence of the oldest event in the log."""
        self._check_open()
        return (await self._log.bounds())[0]

    async def last_sequence(self) -> int:
        """Return the sequence of the newest event that the log ever held."""
        self._check_open()
        return (await self._log.bounds())[1]

    def _check_open(self) -> None:
        if not self._is_open:
            raise BridgeClosedError

    def _check_event(self, event: NewEvent) -> None:
        if event.event in RESERVED_EVENTS:
            raise ReservedEventError(event.event)
        self._check_size(event)

    def _check_size(self, event: NewEvent) -> None:
        limit = min(
            self._connection.max_payload - HEADER_ROOM_BYTES,
            self._settings.retention.max_bytes_per_run,
        )
        if _size(event) > limit:
            raise EventTooLargeError(_size(event), limit)

    async def _known(self, run_id: str) -> RunRef:
        self._check_open()
        return await self._refs.get(run_id)

    async def _writer(self, run_id: str) -> RunWriter:
        # The usual case goes without a detour.
        run = self._refs.recall(run_id) or await self._refs.get_writable(run_id)
        return self._writers.of(run)


def _size(event: NewEvent) -> int:
    return len(event.payload) + len(event.metadata or b"")
