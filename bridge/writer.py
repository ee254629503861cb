"""Append one run's events in order, each once, with natural group commit.

Events that come while a flight is in the air wait, and the next flight takes them together.
Callers that give up leave the others undisturbed.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from bridge import wire
from bridge.connection import Connection
from bridge.errors import (
    BridgeError,
    Stored,
    StreamFencedError,
    StreamNotFoundError,
    StreamTerminatedError,
    UnavailableError,
)
from bridge.events import DELETED, NewEvent, StreamEvent
from bridge.flight import MAX_BATCH_EVENTS, NOTHING, Flight, Head
from bridge.ids import EventId
from bridge.landing import Landing
from bridge.metrics.publishing import PublishFigures
from bridge.place import Place
from bridge.publication import Ack, find_duplicate
from bridge.replies import SilenceError
from bridge.retention.trimming import Mark, Marks
from bridge.run_log import RunLog
from bridge.settings import LogSettings
from bridge.subjects import RunRef
from bridge.writer_queue import Entry, WriterQueue

#: An atomic batch costs some 2 ms whatever its size; below this, single publishes are quicker.
SINGLES_BELOW: Final = 20
MAX_BATCH_BYTES: Final = 8 << 20


class RunWriter:
    """The queue of one run in one process, and the task that empties it.

    Args:
        connection: An open connection.
        log: The run's stored events, for decisions.
        settings: Limits of the queue.
        batch_slots: Bounds the atomic batches that this process has open on the stream.
        figures: What comes of its flights is counted here.
        marks: Where the run may be cut by its writer; None leaves that to the archive's writer.
    """

    def __init__(
        self,
        connection: Connection,
        log: RunLog,
        settings: LogSettings,
        batch_slots: asyncio.Semaphore,
        figures: PublishFigures,
        marks: Marks | None = None,
    ) -> None:
        self._connection = connection
        self._log = log
        self._batch_slots = batch_slots
        self._figures = figures
        self._marks = marks
        self._loop = asyncio.get_running_loop()
        self._place = Place(log)
        self._queue = WriterQueue(settings)
        self._singles_left = 0
        self._free = asyncio.Event()
        self._free.set()
        self._task: asyncio.Task[None] | None = None
        self._trimming: asyncio.Task[None] | None = None
        self._sealed: StreamEvent | None = None

    @property
    def sealed(self) -> StreamEvent | None:
        """The event that ended the run, if it was stored from here."""
        return self._sealed

    @property
    def run(self) -> RunRef:
        """The run."""
        return self._log.run

    @property
    def queued_events(self) -> int:
        """How many events wait for a flight."""
        return self._queue.event_count

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and no attempt depends on this writer."""
        return self._free.is_set() and not self._place.is_bound

    def has_written(self, event: StreamEvent) -> bool:
        """Whether an event of the run was sent from here."""
        return self._place.has_written(event)

    async def create(self, birth: NewEvent) -> EventId:
        """Store the run's first event, unless it has one.

        Returns:
            The id of the oldest event that is held.

        Raises:
            StreamTerminatedError: The run was deleted; it cannot come back.
            UnavailableError: The server fell silent; call again.
        """
        flight = self._flight([birth], NOTHING)
        ack = await self._landing(flight, divisible=False).land()
        if ack is not None:
            return EventId(ack.seq, flight.first_run_seq)
        first = await self._log.find_next(1)
        if first is None or first.event == DELETED:
            raise StreamTerminatedError(self._log.run.run_id, DELETED)
        return first.event_id

    async def begin_attempt(self, attempt: int, metadata: NewEvent) -> EventId:
        """Publish as ``attempt`` from here on, and fence earlier ones off.

        Raises:
            StreamFencedError: This attempt or a later one has begun elsewhere.
            StreamTerminatedError: The run has ended.
        """
        begun = await self._place.claim(attempt)
        return begun or (await self.append([metadata]))[0]

    async def append(self, events: Sequence[NewEvent]) -> list[EventId]:
        """Store ``events``, all or none, behind everything that was queued before.

        Raises:
            BridgeError: As ``StreamBridge.publish`` says.
        """
        if self._place.fenced is not None:
            raise self._place.fenced
        head = self._place.head
        if self._free.is_set() and head is not None and not head.is_terminal:
            return await self._append_at_once(events, head)
        entry = Entry(events, self._loop.create_future())
        self._queue.put(entry)
        if self._free.is_set():
            self._start()
        return await entry.future

    async def _append_at_once(self, events: Sequence[NewEvent], head: Head) -> list[EventId]:
        """Store what nothing is before in the caller's own task: no queue and no switch to a task.

        A caller that gives up leaves the place unknown; whoever comes next reads it.
        """
        self._free.clear()
        try:
            ids = await self._store(events, head, divisible=False)
            if ids is None:  # overtaken: the first of all that came meanwhile
                entry = Entry(events, self._loop.create_future())
                self._queue.put_back([entry])
        except BaseException as error:
            self._give_up(error)
            raise
        finally:
            self._start()
        return await entry.future if ids is None else ids

    def _start(self) -> None:
        """Empty the queue in a task, if there is anything in it."""
        if self._queue:
            self._free.clear()
            self._task = asyncio.create_task(self._empty_queue())
        else:
            self._free.set()

    async def drain(self) -> None:
        """Wait until nothing is queued or in the air."""
        await self._free.wait()

    def abort(self, error: BridgeError) -> None:
        """Fail everything that waits; what is in the air may still be stored."""
        for task in (self._task, self._trimming):
            if task is not None:
                task.cancel()
        self._fail_queue(error)

    async def _empty_queue(self) -> None:
        try:
            while self._queue:
                await self._advance()
        except BaseException:
            self._fail_queue(UnavailableError("the writer stopped"))
            raise
        finally:
            self._task = None
            self._free.set()

    async def _advance(self) -> None:
        """Bring the next flight into the log, or answer the callers who cannot fly."""
        entries: list[Entry] = []
        try:
            head = await self._place.read()
            entries = self._take(head)
            if head.is_terminal:
                await self._answer_after_end(entries[0], head)
            elif entries:
                await self._fly(entries, head)
        except BridgeError as error:
            _fail(entries, error)
            self._give_up(error)
        except BaseException:
            _fail(entries, UnavailableError("the writer stopped", Stored.UNKNOWN))
            raise

    def _give_up(self, error: BaseException) -> None:
        """Forget the place, and tell those who wait when the error is theirs as well."""
        self._place.forget()
        if isinstance(error, UnavailableError):
            self._fail_queue(UnavailableError(f"publishing to run {self._log.run.run_id}"))
        elif isinstance(error, StreamNotFoundError | StreamFencedError):
            self._fail_queue(error)

    def _fail_queue(self, error: BridgeError) -> None:
        while self._queue:  # those in line move up
            _fail(self._queue.pop(len(self._queue)), error)

    def _take(self, head: Head) -> list[Entry]:
        """Take the entries of the next flight off the queue; none when the first has gone."""
        first = self._queue.first
        if head.is_terminal:
            return self._queue.pop(1)
        if first.future.done():
            self._queue.pop(1)
            return []
        if self._goes_singly(first):
            self._singles_left = max(0, self._singles_left - 1)
            return self._queue.pop(1)
        return self._queue.pop(self._count_for_batch())

    def _goes_singly(self, first: Entry) -> bool:
        return (
            first.flies_alone
            or self._queue.event_count < SINGLES_BELOW
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

    async def _fly(self, entries: list[Entry], head: Head) -> None:
        events = [event for entry in entries for event in entry.events]
        ids = await self._store(events, head, divisible=len(entries) > 1)
        if ids is None:
            self._queue.put_back([entry for entry in entries if not entry.future.done()])
            return
        following = iter(ids)
        for entry in entries:
            entry.resolve(list(islice(following, len(entry.events))))

    async def _store(
        self, events: Sequence[NewEvent], head: Head, *, divisible: bool
    ) -> list[EventId] | None:
        """Put ``events`` behind ``head``; ``None`` when they must be tried again elsewhere."""
        flight = self._flight(events, head)
        landing = self._landing(flight, divisible=divisible)
        if len(events) == 1:
            ack = await landing.land()
        else:
            async with self._batch_slots:
                ack = await landing.land()
        if ack is None:
            if landing.must_split:
                self._singles_left = len(events)
            else:
                await self._place.catch_up()
            return None
        if ack.duplicate:
            return [await self._find_stored(ack)]
        head = self._place.advance(flight, ack.seq)
        if head.is_terminal:
            self._sealed = self._stored(events[-1], head)
        if self._marks is not None:
            self._trim_behind(self._marks, head)
        first = flight.first_run_seq
        return [EventId(ack.seq + i, first + i) for i in range(len(events))]

    def _landing(self, flight: Flight, *, divisible: bool) -> Landing:
        return Landing(
            self._connection, self._log, flight, divisible=divisible, figures=self._figures
        )

    def _stored(self, event: NewEvent, head: Head) -> StreamEvent:
        """Return an event as readers of the log see it, now that it stands at ``head``."""
        run = self._log.run
        return StreamEvent(
            thread_id=run.thread_id,
            run_id=run.run_id,
            event_id=EventId(head.stream_seq, head.run_seq),
            event=event.event,
            payload=event.payload,
            category=event.category,
            created_at=event.created_at,
            total_bytes=head.total_bytes,
            writer=self._place.writer,
            metadata_json=event.metadata,
        )

    def _trim_behind(self, marks: Marks, head: Head) -> None:
        marks.add(Mark(head.stream_seq, head.run_seq, head.total_bytes))
        cut = marks.find_cut()
        if cut is not None and (self._trimming is None or self._trimming.done()):
            marks.forget(cut)
            # Beside the publishes: none of them must wait for it, or fail because of it.
            self._trimming = asyncio.create_task(self._trim(cut))

    async def _trim(self, cut: Mark) -> None:
        with suppress(BridgeError):  # the next cut takes this part along
            await self._log.purge(below_seq=cut.stream_seq)

    def _flight(self, events: Sequence[NewEvent], head: Head) -> Flight:
        return Flight(self._log.subject, self._log.run.run_id, events, head, self._place.writer)

    async def _answer_after_end(self, entry: Entry, head: Head) -> None:
        """Answer a caller who comes after the end: only what was stored before counts."""
        run_id, event_id = self._log.run.run_id, entry.events[0].event_id
        if entry.is_terminal or event_id is not None:
            # What was stored is only named while it is there: the run may have been deleted since.
            head = Head.of(await self._log.last())
        if head.event == DELETED:
            raise StreamTerminatedError(run_id, DELETED)
        if entry.is_terminal:
            entry.resolve([EventId(head.stream_seq, head.run_seq)])
            return
        if event_id is not None:
            ack = await self._find_duplicate(wire.message_id(run_id, event_id))
            if ack is not None:
                entry.resolve([await self._find_stored(ack)])
                return
        raise StreamTerminatedError(run_id, head.event)

    async def _find_stored(self, ack: Ack) -> EventId:
        try:
            return await self._log.id_at(ack.seq)
        except UnavailableError as error:
            what = f"finding the id of an event of run {self._log.run.run_id} that is stored"
            raise UnavailableError(what, Stored.UNKNOWN) from error

    async def _find_duplicate(self, message_id: str) -> Ack | None:
        outage = self._connection.outage(f"publishing to run {self._log.run.run_id}")
        while True:
            try:
                return await find_duplicate(self._connection, self._log.subject, message_id)
            except SilenceError:
                await outage.wait()


def _fail(entries: Sequence[Entry], error: BridgeError) -> None:
    for entry in entries:
        entry.fail(error)
