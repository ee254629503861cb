"""Append one run's events in order, each once, with natural group commit.

Events that come while a flight is in the air wait, and the next flight takes them together. A
flight whose fate is unknown is decided by reading the event behind its predecessor, never by
guessing. Callers that give up leave the others undisturbed.
"""

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from bridge.connection import Connection
from bridge.errors import (
    ApiError,
    BridgeError,
    Stored,
    StreamCapacityExceededError,
    StreamFencedError,
    StreamNotFoundError,
    StreamTerminatedError,
    UnavailableError,
)
from bridge.events import BIRTH, DELETED, TERMINAL_EVENTS, NewEvent, StreamEvent
from bridge.flight import MAX_BATCH_EVENTS, NOTHING, Flight, Head
from bridge.ids import EventId
from bridge.lifecycle import FIRST_ATTEMPT
from bridge.publication import (
    BATCH_NOT_STORED,
    DECIDE_BY_READING,
    FULL,
    WRONG_LAST_SEQUENCE,
    Ack,
)
from bridge.replies import SilenceError
from bridge.run_log import RunLog
from bridge.settings import LogSettings

#: An atomic batch costs some 2 ms whatever its size; below this, single publishes are quicker.
SINGLES_BELOW: Final = 20
MAX_BATCH_BYTES: Final = 8 << 20
#: Losses of the race for the next place after which a writer waits a little before it retries.
EAGER_RETRIES: Final = 10
_JITTER_S: Final = 0.01


@dataclass(slots=True)
class Entry:
    """What one caller wants stored, all or none."""

    events: Sequence[NewEvent]
    future: "asyncio.Future[list[EventId]]"
    size_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.size_bytes = sum(len(event.payload) for event in self.events)

    @property
    def is_terminal(self) -> bool:
        """Whether it ends the run."""
        return self.events[0].event in TERMINAL_EVENTS

    @property
    def flies_alone(self) -> bool:
        """Whether it must not share a flight."""
        first = self.events[0]
        return (
            len(self.events) > 1
            or first.event_id is not None
            or first.event in TERMINAL_EVENTS
            or first.event == BIRTH
        )


class RunWriter:
    """The queue of one run in one process, and the task that empties it.

    Args:
        connection: An open connection.
        run_log: The run's stored events, for decisions.
        settings: Limits of the queue.
        batch_slots: Bounds the atomic batches that this process has open on the stream.
    """

    def __init__(
        self,
        connection: Connection,
        run_log: RunLog,
        settings: LogSettings,
        batch_slots: asyncio.Semaphore,
    ) -> None:
        self._connection = connection
        self._log = run_log
        self._settings = settings
        self._batch_slots = batch_slots
        self._nonce = uuid4().hex[:16]
        self._queue: deque[Entry] = deque()
        self._queued_events = 0
        self._queued_bytes = 0
        self._room = asyncio.Event()
        self._head: Head | None = None
        self._attempt: int | None = None
        self._fenced: StreamFencedError | None = None
        self._losses = 0
        self._singles_left = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and no attempt depends on this writer."""
        attempt_over = self._attempt is None or (self._head is not None and self._head.is_terminal)
        return self._task is None and attempt_over

    async def create(self, birth: NewEvent) -> EventId:
        """Store the run's first event, unless it has one.

        Returns:
            The id of the oldest event that is held.

        Raises:
            StreamTerminatedError: The run was deleted; it cannot come back.
            UnavailableError: The server fell silent; call again.
        """
        flight = Flight(self._log.subject, self._log.run.run_id, [birth], NOTHING, self._nonce)
        ack = await self._land(flight, divisible=False)
        if ack is not None:
            return EventId(ack.seq, flight.first_run_seq)
        first = await self._log.find_next(1)
        if first is None or first.event == DELETED:
            raise StreamTerminatedError(self._log.run.run_id, DELETED)
        return first.event_id

    async def append(self, events: Sequence[NewEvent]) -> list[EventId]:
        """Store ``events``, all or none, behind everything that was queued before.

        Raises:
            BridgeError: As ``StreamBridge.publish`` says.
        """
        if self._fenced is not None:
            raise self._fenced
        entry = Entry(events, asyncio.get_running_loop().create_future())
        while self._is_full(entry):
            self._room.clear()
            await self._room.wait()
        self._queue.append(entry)
        self._queued_events += len(entry.events)
        self._queued_bytes += entry.size_bytes
        if self._task is None:
            self._task = asyncio.create_task(self._empty_queue())
        return await entry.future

    def _is_full(self, entry: Entry) -> bool:
        if not self._queue:
            return False
        return (
            self._queued_events + len(entry.events) > self._settings.max_queued_events
            or self._queued_bytes + entry.size_bytes > self._settings.max_queued_bytes
        )

    async def begin_attempt(self, attempt: int, metadata: NewEvent) -> EventId:
        """Publish as ``attempt`` from here on, and fence earlier ones off.

        Raises:
            StreamFencedError: This attempt or a later one has begun elsewhere.
            StreamTerminatedError: The run has ended.
        """
        newest, event_id = await self._log.last_attempt()
        if newest == attempt and attempt in (FIRST_ATTEMPT, self._attempt):
            self._attempt = attempt
            return event_id
        if newest >= attempt:
            raise StreamFencedError(self._log.run.run_id, attempt, newest)
        self._attempt = attempt
        return (await self.append([metadata]))[0]

    async def drain(self) -> None:
        """Wait until nothing is queued or in the air."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def abort(self, error: BridgeError) -> None:
        """Fail everything that waits; what is in the air may still be stored."""
        if self._task is not None:
            self._task.cancel()
        self._fail_queue(error)

    async def _empty_queue(self) -> None:
        try:
            while self._queue:
                await self._advance()
        except BaseException:
            self._fail_queue(UnavailableError("the writer stopped", Stored.UNKNOWN))
            raise
        finally:
            self._task = None

    async def _advance(self) -> None:
        entries: list[Entry] = []
        try:
            if self._head is None:
                self._head = Head.of(await self._log.last())
            entries = self._take(self._head)
            if entries:
                await self._fly(entries, self._head)
        except BridgeError as error:
            self._forget_place()
            _fail(entries, error)
            if isinstance(error, UnavailableError):
                self._fail_queue(UnavailableError(f"run {self._log.run.run_id}", Stored.NO))
            elif isinstance(error, StreamNotFoundError | StreamFencedError):
                self._fail_queue(error)
        except BaseException:
            _fail(entries, UnavailableError("the writer stopped", Stored.UNKNOWN))
            raise

    def _forget_place(self) -> None:
        # What is in the air may land later: it must not be mistaken for a later flight.
        self._head = None
        self._nonce = uuid4().hex[:16]

    def _fail_queue(self, error: BridgeError) -> None:
        _fail(self._pop(len(self._queue)), error)

    def _pop(self, count: int) -> list[Entry]:
        entries = [self._queue.popleft() for _ in range(count)]
        self._queued_events -= sum(len(entry.events) for entry in entries)
        self._queued_bytes -= sum(entry.size_bytes for entry in entries)
        self._room.set()
        return entries

    def _push_back(self, entries: Sequence[Entry]) -> None:
        self._queue.extendleft(reversed(entries))
        self._queued_events += sum(len(entry.events) for entry in entries)
        self._queued_bytes += sum(entry.size_bytes for entry in entries)

    def _take(self, head: Head) -> list[Entry]:
        """Take the entries of the next flight off the queue; none when the first cannot fly."""
        first = self._queue[0]
        if first.future.done():
            self._pop(1)
            return []
        if head.is_terminal:
            self._pop(1)
            self._settle_after_terminal(first, head)
            return []
        if self._goes_singly(first):
            self._singles_left = max(0, self._singles_left - 1)
            return self._pop(1)
        return self._pop(self._count_for_batch())

    def _goes_singly(self, first: Entry) -> bool:
        return (
            first.flies_alone
            or self._queued_events < SINGLES_BELOW
            or self._singles_left > 0
            or self._batch_slots.locked()
        )

    def _count_for_batch(self) -> int:
        count = size = 0
        for entry in self._queue:
            size += entry.size_bytes
            if entry.flies_alone or count == MAX_BATCH_EVENTS or (count and size > MAX_BATCH_BYTES):
                break
            count += 1
        return count

    def _settle_after_terminal(self, entry: Entry, head: Head) -> None:
        if entry.is_terminal and head.event != DELETED:
            entry.future.set_result([EventId(head.stream_seq, head.run_seq)])
        else:
            entry.future.set_exception(StreamTerminatedError(self._log.run.run_id, head.event))

    async def _fly(self, entries: list[Entry], head: Head) -> None:
        events = [event for entry in entries for event in entry.events]
        flight = Flight(self._log.subject, self._log.run.run_id, events, head, self._nonce)
        if len(events) == 1:
            ack = await self._land(flight, divisible=False)
        else:
            async with self._batch_slots:
                ack = await self._land(flight, divisible=len(entries) > 1)
        if ack is None:
            self._push_back([entry for entry in entries if not entry.future.done()])
        elif ack.duplicate:
            _resolve(entries[0], [await self._log.id_at(ack.seq)])
        else:
            self._losses = 0
            self._head = head.after(flight, ack.seq)
            self._resolve_all(entries, ack.seq, flight.first_run_seq)

    def _resolve_all(self, entries: Sequence[Entry], stream_seq: int, run_seq: int) -> None:
        for entry in entries:
            ids = [EventId(stream_seq + i, run_seq + i) for i in range(len(entry.events))]
            stream_seq += len(ids)
            run_seq += len(ids)
            _resolve(entry, ids)

    async def _land(self, flight: Flight, *, divisible: bool) -> Ack | None:
        """Send until it is known to be stored (the ack), or to go again (``None``)."""
        outage = self._connection.outage(f"publishing to run {self._log.run.run_id}")
        stored = Stored.NO
        while True:
            refusal = 0
            try:
                return await flight.send(self._connection)
            except SilenceError as silence:
                stored = Stored.UNKNOWN if silence.sent else stored
                await outage.wait(stored)
            except ApiError as error:
                refusal = error.err_code
                if refusal in BATCH_NOT_STORED:
                    if divisible and stored is Stored.NO:
                        self._singles_left = len(flight.events)
                        return None
                elif refusal not in DECIDE_BY_READING:
                    raise _translated(error) from error
            if refusal or stored is Stored.UNKNOWN:
                decided, first_seq = await self._decide(flight, refusal)
                if decided:
                    return None if first_seq is None else Ack(first_seq, duplicate=False)
                if refusal:
                    await outage.wait(stored)

    async def _decide(self, flight: Flight, refusal: int) -> tuple[bool, int | None]:
        """Find out what became of a flight by reading the event behind its predecessor.

        Returns:
            Whether it is decided, and if it was stored, its first sequence.
        """
        successor = await self._log.find_next(flight.predecessor.stream_seq + 1)
        if successor is None:
            # Absence proves nothing, unless the predecessor itself is no longer the newest.
            moved = refusal == WRONG_LAST_SEQUENCE and await self._predecessor_moved(flight)
            return moved, None
        first_seq = flight.find_first(successor)
        if first_seq is None:
            await self._catch_up(successor)
        return True, first_seq

    async def _predecessor_moved(self, flight: Flight) -> bool:
        newest = await self._log.last()
        if newest.event_id.stream_seq == flight.predecessor.stream_seq:
            return False
        self._head = Head.of(newest)
        return True

    async def _catch_up(self, successor: StreamEvent) -> None:
        """Take the place behind what others wrote, unless a later attempt is among it."""
        newest = await self._log.last()
        if self._attempt is not None:
            later = await self._log.find_attempt_between(successor, newest)
            if later is not None and later >= self._attempt:
                self._fenced = StreamFencedError(self._log.run.run_id, self._attempt, later)
                raise self._fenced
        self._head = Head.of(newest)
        self._losses += 1
        if self._losses > EAGER_RETRIES:
            await asyncio.sleep(random.uniform(0, _JITTER_S))  # noqa: S311 - only spreads retries


def _translated(error: ApiError) -> BridgeError:
    if error.err_code in FULL:
        return StreamCapacityExceededError(error.description, error.err_code)
    return error


def _resolve(entry: Entry, ids: list[EventId]) -> None:
    if not entry.future.done():
        entry.future.set_result(ids)


def _fail(entries: Sequence[Entry], error: BridgeError) -> None:
    for entry in entries:
        if not entry.future.done():
            entry.future.set_exception(error)
