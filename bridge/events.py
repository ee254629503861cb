"""What a run emits and what a reader of a run receives.

Events are immutable once encoded: the bytes that were accepted are the bytes that every reader,
file and consumer gets. Nothing here talks to a server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import lru_cache
from time import time_ns
from typing import Any, Final, NamedTuple, TypeAlias

from bridge.errors import InvalidEventError, ReservedEventError
from bridge.ids import EventId
from bridge.json_bytes import decode_json, encode_json, encode_metadata
from bridge.subjects import RunRef

MAX_NAME_LENGTH: Final = 128
#: Longer than other names: an event of a nested graph names each graph around it.
MAX_EVENT_NAME_LENGTH: Final = 1024

#: The category of an event that only those who follow the run care about.
STREAM: Final = "stream"
BIRTH: Final = "metadata"
GAP: Final = "gap"
DELETED: Final = "deleted"


class StreamStatus(StrEnum):
    """How far a run's stream has come. The last event decides it."""

    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"
    ERRORED = "errored"
    CLOSED = "closed"


TERMINAL_STATES: Final = frozenset(
    {StreamStatus.ENDED, StreamStatus.CANCELLED, StreamStatus.ERRORED, StreamStatus.CLOSED}
)


class Terminal(StrEnum):
    """The events that end a run for good; the value is the event's name in the log."""

    ENDED = "end"
    CANCELLED = "cancel"
    ERRORED = "error"
    DEAD_LETTER = "dead_letter"


STATUS_OF_EVENT: Final[Mapping[str, StreamStatus]] = {
    Terminal.ENDED.value: StreamStatus.ENDED,
    Terminal.CANCELLED.value: StreamStatus.CANCELLED,
    Terminal.ERRORED.value: StreamStatus.ERRORED,
    Terminal.DEAD_LETTER.value: StreamStatus.ERRORED,
    DELETED: StreamStatus.CLOSED,
}

TERMINAL_EVENTS: Final = frozenset(Terminal)
RESERVED_EVENTS: Final = frozenset({*TERMINAL_EVENTS, BIRTH, GAP, DELETED})


@lru_cache(maxsize=1024)
def check_event_name(name: str) -> str:
    """Return ``name`` when an ordinary event may carry it.

    Raises:
        ReservedEventError: The name belongs to the stream's control events.
        InvalidEventError: The name is empty, too long, or holds a character that could break a
            header or an SSE field.
    """
    if name in RESERVED_EVENTS:
        raise ReservedEventError(name)
    return check_token("event name", name, MAX_EVENT_NAME_LENGTH)


def check_token(what: str, value: object, max_length: int = MAX_NAME_LENGTH) -> str:
    """Return ``value`` when it can stand in a header and in an SSE field unchanged.

    Raises:
        InvalidEventError: It is no string, empty, longer than ``max_length`` characters, has a
            space at an end, or holds a control or separator character.
    """
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= max_length
        or not value.isprintable()
        or value != value.strip()
    ):
        raise InvalidEventError(
            f"{what} must be 1 to {max_length} printable characters without outer spaces"
        )
    return value


def timestamp() -> str:
    """Return the time now as RFC 3339 in UTC, in microseconds."""
    seconds, microseconds = divmod(time_ns() // 1000, 1_000_000)
    return f"{_second(seconds)}.{microseconds:06d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class NewEvent(NamedTuple):
    """An event that was checked and encoded, and is not stored yet.

    Build it with :func:`new_event`; the constructor checks nothing.
    """

    event: str
    payload: bytes
    category: str = STREAM
    metadata: bytes | None = None
    event_id: str | None = None
    created_at: str = ""
    trace: str = ""


def new_event(
    event: str,
    data: Any,
    *,
    category: str = STREAM,
    metadata: Mapping[str, Any] | None = None,
    event_id: str | None = None,
) -> NewEvent:
    """Check and encode one ordinary event; changing ``data`` afterwards changes nothing.

    Args:
        event: The name that clients dispatch on, for example ``messages``.
        data: Any JSON value.
        category: What kind of event it is, for consumers that filter: ``stream``, ``message``,
            ``trace``, ``lifecycle``, ``outputs``, or one of your own.
        metadata: A JSON object that travels beside the data and is not sent over SSE.
        event_id: The caller's own id: a repeated publish with it, from any process, within 120 s,
            stores nothing and returns the first one's id.

    Raises:
        InvalidEventError: A name, category or id cannot be stored.
        InvalidContentError: ``data`` or ``metadata`` is not JSON.
    """
    check_event_name(event)
    if category != STREAM:
        check_token("category", category)
    if event_id is not None:
        check_token("event_id", event_id)
    return NewEvent(
        event, encode_json(data), category, encode_metadata(metadata), event_id, timestamp()
    )


def encoded_event(event: str, payload: bytes, *, category: str = STREAM) -> NewEvent:
    """Make an event whose data is JSON already; see :func:`new_event`.

    Args:
        event: The name that clients dispatch on.
        payload: One line of strict JSON in UTF-8; it is not looked at.
        category: What kind of event it is.

    Raises:
        InvalidEventError: The name or the category cannot be stored.
    """
    check_event_name(event)
    if category != STREAM:
        check_token("category", category)
    return NewEvent(event, payload, category, None, None, timestamp())


class StreamEvent:
    """One stored event of a run, shared by all who read it in this process.

    Attributes:
        thread_id: The thread that owns the run.
        run_id: The run.
        event_id: Where the event stands; ``id`` is its text.
        event: The name.
        payload: The JSON of the data, verbatim.
        category: What kind of event it is.
        created_at: The publisher's time, RFC 3339.
        total_bytes: Payload bytes of this run up to and including this event; 0 in an event that
            was read from the archive, which does not keep it.
        writer: The nonce of the writer that stored it.
    """

    __slots__ = (
        "_frame",
        "category",
        "created_at",
        "event",
        "event_id",
        "metadata_json",
        "payload",
        "run_id",
        "thread_id",
        "total_bytes",
        "writer",
    )

    def __init__(  # noqa: PLR0913 - one field for each fact on the wire
        self,
        *,
        thread_id: str,
        run_id: str,
        event_id: EventId,
        event: str,
        payload: bytes,
        category: str,
        created_at: str,
        total_bytes: int,
        writer: str = "",
        metadata_json: bytes | None = None,
    ) -> None:
        self.thread_id = thread_id
        self.run_id = run_id
        self.event_id = event_id
        self.event = event
        self.payload = payload
        self.category = category
        self.created_at = created_at
        self.total_bytes = total_bytes
        self.writer = writer
        self.metadata_json = metadata_json
        self._frame: bytes | None = None

    def __repr__(self) -> str:
        return f"StreamEvent(id={self.id!r}, event={self.event!r}, {len(self.payload)} bytes)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamEvent):
            return NotImplemented
        return (self.run_id, self.event_id, self.event, self.payload) == (
            other.run_id,
            other.event_id,
            other.event,
            other.payload,
        )

    def __hash__(self) -> int:
        return hash((self.run_id, self.event_id))

    @property
    def run(self) -> RunRef:
        """The run, and the thread that owns it."""
        return RunRef(self.thread_id, self.run_id)

    @property
    def id(self) -> str:
        """The event id as clients see it."""
        return str(self.event_id)

    @property
    def run_seq(self) -> int:
        """The event's number in its run: 1, 2, 3... without holes."""
        return self.event_id.run_seq

    @property
    def data(self) -> Any:
        """The data, parsed anew at each access."""
        return decode_json(self.payload)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The metadata that travelled beside the data."""
        return None if self.metadata_json is None else decode_json(self.metadata_json)

    @property
    def is_terminal(self) -> bool:
        """Whether the run ends with this event."""
        return self.event in STATUS_OF_EVENT

    @property
    def frame(self) -> bytes:
        """The event as one SSE block; encoded at the first access, the same bytes for all."""
        if self._frame is None:
            self._frame = sse_frame(self.id, self.event, self.payload)
        return self._frame


def sse_frame(event_id: str, event: str, payload: bytes) -> bytes:
    """Encode one SSE block: id, event, data, blank line."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), event.encode(), payload)


class GapReason(StrEnum):
    """Why events are missing."""

    EVICTED = "evicted"
    UNKNOWN = "unknown"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class StreamGap:
    """Told in-band instead of events that cannot be delivered.

    ``missing`` is exact when the reason is ``EVICTED`` and ``None`` otherwise: an unknown or
    invalid cursor is followed by everything that is retained. ``run_id`` is empty where all runs of
    a thread are read and nobody knows of which one the events were.
    """

    run_id: str
    requested_event_id: str | None
    earliest_available_event_id: str | None
    latest_available_event_id: str | None
    missing: int | None
    reason: GapReason


class Signal(Enum):
    """Items that carry no event."""

    HEARTBEAT = "heartbeat"
    END = "end"
    CANCELLED = "cancelled"


HEARTBEAT: Final = Signal.HEARTBEAT
END: Final = Signal.END
CANCELLED: Final = Signal.CANCELLED

StreamItem: TypeAlias = StreamEvent | StreamGap | Signal
Batch: TypeAlias = Sequence[StreamItem]


class ResumeStatus(StrEnum):
    """What became of the cursor that a reader came with."""

    FRESH = "fresh"
    RESUMED = "resumed"
    EVICTED = "evicted"
    UNKNOWN = "unknown"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class ResumeResult:
    """Where a reader starts.

    Attributes:
        status: What became of the cursor.
        position: The last event counted as handled; run_seq 0 means that everything retained
            follows.
        gap_count: How many events are missing; ``None`` when that cannot be known.
    """

    status: ResumeStatus
    position: EventId
    gap_count: int | None = 0


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """The state of one run's stream, as of the moment of asking.

    Attributes:
        run_id: The run.
        thread_id: The thread that owns it.
        status: Decided by the last event.
        first_id: The oldest event that the log still holds.
        last_id: The newest event.
        event_count: How many events the run has emitted, evicted ones included.
        total_bytes: Payload bytes of all of them.
        subscribers: Readers in this process.
        created_at: When the oldest retained event was made, RFC 3339.
        updated_at: When the newest event was made, RFC 3339.
        terminal: The terminal event, once there is one.
        awaiting_input: Whether the run waits for its user, who may take longer than a worker.
    """

    run_id: str
    thread_id: str
    status: StreamStatus
    first_id: str
    last_id: str
    event_count: int
    total_bytes: int
    subscribers: int
    created_at: str
    updated_at: str
    terminal: StreamEvent | None = None
    awaiting_input: bool = False
