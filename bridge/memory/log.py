"""What a memory bridge remembers: the newest events of each run, within fixed limits.

Append, eviction and lookup are O(1). Several bridges may share one log, as processes share a
server; all of them live on one event loop.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Final

from bridge.errors import (
    ConflictError,
    EventTooLargeError,
    StreamCapacityExceededError,
    StreamNotFoundError,
    StreamTerminatedError,
)
from bridge.events import DELETED, RESERVED_EVENTS, NewEvent, StreamEvent
from bridge.ids import EventId
from bridge.lifecycle import attempt_event, deleted_event
from bridge.memory.consumers import MemoryConsumers
from bridge.memory.run_log import RunLog, size_of
from bridge.memory.settings import MemorySettings
from bridge.retention.room import soft_limit
from bridge.retention.seal import first_kept
from bridge.subjects import RunRef

#: Ended runs that one publish may cut short to make room for itself.
_RELIEVED_AT_ONCE: Final = 32


class MemoryLog:
    """All runs, in one sequence of events.

    Attributes:
        consumers: The named positions in it.
    """

    def __init__(self, settings: MemorySettings) -> None:
        self._settings = settings
        self._runs: dict[str, RunLog] = {}
        self._events: dict[int, StreamEvent] = {}
        # Both in the order of time, so that the oldest is found in O(1).
        self._ended: dict[str, None] = {}
        self._sealed: dict[str, RunLog] = {}
        self._departed: dict[str, int] = {}
        # Of the ended runs those that hold more than their ends.
        self._long: dict[str, None] = {}
        self._bytes = 0
        self._soft_limit = soft_limit(settings.max_bytes)
        self._last_seq = 0
        self.consumers = MemoryConsumers(
            self._events,
            max_consumers=settings.max_consumers,
            idle_s=settings.consumer_idle_s,
            max_dead_letters=settings.max_dead_letters,
        )

    @property
    def last_seq(self) -> int:
        """The stream sequence of the newest event, of whatever run."""
        return self._last_seq

    def find(self, stream_seq: int) -> StreamEvent | None:
        """Return the retained event of whatever run at a stream sequence."""
        return self._events.get(stream_seq)

    def get(self, run_id: str) -> RunLog:
        """Return the log of a run; of one that has left, its terminal event is there.

        Raises:
            StreamNotFoundError: Nobody created the run, or it was deleted, or it left long ago.
        """
        run = self._runs.get(run_id) or self._sealed.get(run_id)
        if run is None:
            raise StreamNotFoundError(run_id)
        return run

    def refuse_departed(self, run_id: str) -> None:
        """Raise StreamTerminatedError when the run was deleted, or left long ago."""
        if run_id in self._departed:
            raise StreamTerminatedError(run_id, DELETED)

    def create(self, run: RunRef, writer: str) -> RunLog:
        """Return the log of a run, made with its birth event when it is not there yet."""
        self.refuse_departed(run.run_id)
        known = self._runs.get(run.run_id) or self._sealed.get(run.run_id)
        if known is not None:
            if known.run != run:
                msg = f"run {run.run_id} exists under another thread"
                raise ConflictError(msg)
            if run.run_id in self._sealed:
                known.refuse_ended()
            return known
        self._make_room()
        birth = self._place(run, None, attempt_event(run), writer)
        log = self._runs[run.run_id] = RunLog(birth)
        return log

    def append(self, log: RunLog, events: Sequence[NewEvent], writer: str) -> list[StreamEvent]:
        """Append all of ``events``, evicting the run's oldest ones beyond the limits.

        Raises:
            EventTooLargeError: One of them is; none was stored.
            StreamCapacityExceededError: There is no room for them now; none was stored.
        """
        for event in events:
            self._check_size(event)
        if events[0].event not in RESERVED_EVENTS:
            self._admit(sum(_size_of_new(event) for event in events))
        stored = []
        for event in events:
            placed = self._place(log.run, log.last, event, writer)
            log.push(placed)
            stored.append(placed)
            self._evict_beyond_limits(log)
            if event.event_id is not None:
                limit = self._settings.max_event_ids_per_run
                log.remember_published(event.event_id, placed.event_id, limit=limit)
        if log.terminal is not None:
            self._ended[log.run.run_id] = self._long[log.run.run_id] = None
        return stored

    def _admit(self, size_bytes: int) -> None:
        """Make room for ordinary events: ended runs that nobody reads give way.

        Raises:
            EventTooLargeError: They would never fit.
            StreamCapacityExceededError: There is no room for them now.
        """
        if size_bytes > self._soft_limit:
            raise EventTooLargeError(size_bytes, self._soft_limit)
        surplus = self._bytes + size_bytes - self._soft_limit
        if surplus <= 0:
            return
        self._relieve(self._long, surplus, self._shorten)
        surplus = self._bytes + size_bytes - self._soft_limit
        if surplus > 0 and self._settings.max_runs_policy == "lru":
            self._relieve(self._ended, surplus, self.seal)
        if self._bytes + size_bytes > self._soft_limit:
            raise StreamCapacityExceededError(
                f"{self._bytes} bytes are stored, ordinary events may fill {self._soft_limit}"
            )

    def _relieve(
        self, ended: Iterable[str], surplus: int, let_go: Callable[[RunLog], None]
    ) -> None:
        goal = self._bytes - surplus
        for run_id in list(islice(ended, _RELIEVED_AT_ONCE)):
            run = self._runs[run_id]
            if self._bytes > goal and not run.readers:
                let_go(run)

    def _shorten(self, log: RunLog) -> None:
        del self._long[log.run.run_id]
        self.trim(log, max(1, log.last.run_seq - first_kept(log.last).run_seq + 1))

    def trim(self, log: RunLog, keep: int) -> int:
        """Evict all but the newest ``keep`` events of a run; return how many went."""
        excess = max(0, len(log.events) - keep)
        for _ in range(excess):
            self._evict(log)
        return excess

    def has_departed(self, run_id: str) -> bool:
        """Whether the run has left altogether."""
        return run_id in self._departed

    def delete(self, run_id: str, writer: str) -> None:
        """Forget a run for good; one that has left already stays away.

        Raises:
            StreamNotFoundError: Nobody created the run.
        """
        if run_id in self._departed:
            return
        log = self.get(run_id)
        marker = self._place(log.run, log.last, deleted_event(), writer)
        self._depart(log, marker.event_id.stream_seq)
        log.delete(marker)
        self.consumers.forget(log.run)

    def runs(self) -> list[RunLog]:
        """Return all runs."""
        return list(self._runs.values())

    def runs_of(self, thread_id: str) -> list[str]:
        """Return the ids of a thread's runs, with those that have left; linear in all runs."""
        logs = chain(self._runs.values(), self._sealed.values())
        return [log.run.run_id for log in logs if log.run.thread_id == thread_id]

    def _make_room(self) -> None:
        limit = self._settings.max_runs
        if len(self._runs) < limit:
            return
        if self._settings.max_runs_policy == "reject":
            raise StreamCapacityExceededError(f"all {limit} runs are active, or may not leave")
        if not self._ended:
            raise StreamCapacityExceededError(f"all {limit} runs are active")
        self.seal(self._runs[next(iter(self._ended))])

    def seal(self, log: RunLog) -> None:
        """Let an ended run leave; how it ended is remembered, of a bounded number of runs."""
        self._leave(log)
        self._sealed[log.run.run_id] = RunLog(log.last)
        if len(self._sealed) > self._settings.max_runs:
            self._depart(self._sealed[next(iter(self._sealed))], 0)

    def _leave(self, log: RunLog) -> None:
        run_id = log.run.run_id
        # Readers under way keep the run's log until they have reached its end.
        self._sealed.pop(run_id, None)
        self._runs.pop(run_id, None)
        self._ended.pop(run_id, None)
        self._long.pop(run_id, None)
        for event in log.events.values():
            if self._events.pop(event.event_id.stream_seq, None) is not None:
                self._bytes -= size_of(event)

    def _depart(self, log: RunLog, marker_seq: int) -> None:
        self._leave(log)
        self._departed[log.run.run_id] = marker_seq
        if len(self._departed) > self._settings.max_runs:
            forgotten = next(iter(self._departed))
            marker = self._events.pop(self._departed.pop(forgotten), None)
            self._bytes -= 0 if marker is None else size_of(marker)

    def _check_size(self, event: NewEvent) -> None:
        limit = min(self._settings.max_event_bytes, self._settings.max_bytes_per_run)
        size = _size_of_new(event)
        if size > limit:
            raise EventTooLargeError(size, limit)

    def _place(
        self, run: RunRef, last: StreamEvent | None, event: NewEvent, writer: str
    ) -> StreamEvent:
        self._last_seq += 1
        placed = StreamEvent(
            thread_id=run.thread_id,
            run_id=run.run_id,
            event_id=EventId(self._last_seq, 1 if last is None else last.run_seq + 1),
            event=event.event,
            payload=event.payload,
            category=event.category,
            created_at=event.created_at,
            total_bytes=len(event.payload) + (0 if last is None else last.total_bytes),
            writer=writer,
            metadata_json=event.metadata,
        )
        self._events[self._last_seq] = placed
        self._bytes += size_of(placed)
        self.consumers.wake()
        return placed

    def _evict_beyond_limits(self, log: RunLog) -> None:
        settings = self._settings
        while len(log.events) > 1 and (
            len(log.events) > settings.max_events_per_run
            or log.retained_bytes > settings.max_bytes_per_run
        ):
            self._evict(log)

    def _evict(self, log: RunLog) -> None:
        evicted = log.evict_first()
        del self._events[evicted.event_id.stream_seq]
        self._bytes -= size_of(evicted)


def _size_of_new(event: NewEvent) -> int:
    return len(event.payload) + len(event.metadata or b"")
