"""The event on the wire: which fact travels in which header, in both directions.

The payload is the JSON of the data, verbatim; everything else is a header, so that a gateway
forwards bytes and never parses JSON. Every stored message, an event or not, says of which version
it is.
"""

from collections.abc import Mapping
from typing import Final

from bridge.errors import ForeignMessageError, InvalidEventError, NewerVersionError
from bridge.events import NewEvent, StreamEvent
from bridge.ids import EventId
from bridge.subjects import RunRef

EVENT: Final = "Run-Event"
SEQ: Final = "Run-Seq"
BYTES: Final = "Run-Bytes"
CATEGORY: Final = "Run-Category"
TIME: Final = "Run-Time"
META: Final = "Run-Meta"
WRITER: Final = "Run-Writer"
VERSION: Final = "Run-Version"
WIRE_VERSION: Final = "1"

#: W3C Trace Context: which trace an event belongs to, where events are traced.
TRACE_PARENT: Final = "traceparent"

DEAD_CONSUMER: Final = "Dead-Consumer"
DEAD_SEQUENCE: Final = "Dead-Sequence"
DEAD_CAUSE: Final = "Dead-Cause"
DEAD_REASON: Final = "Dead-Reason"
DEAD_ATTEMPT: Final = "Dead-Attempt"
DEAD_TIME: Final = "Dead-Time"

CHECKPOINT_THREAD: Final = "Checkpoint-Thread"
CHECKPOINT_LANE: Final = "Checkpoint-Lane"
CHECKPOINT_ID: Final = "Checkpoint-Id"
CHECKPOINT_PARTS: Final = "Checkpoint-Parts"

ITEM_TOUCHED: Final = "Item-Touched"

EXPECTED_SUBJECT_SEQUENCE: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
MESSAGE_ID: Final = "Nats-Msg-Id"
EXPECTED_MESSAGE_ID: Final = "Nats-Expected-Last-Msg-Id"
STREAM_SEQUENCE: Final = "Nats-Sequence"
SCHEDULE: Final = "Nats-Schedule"
SCHEDULE_TARGET: Final = "Nats-Schedule-Target"
ROLLUP: Final = "Nats-Rollup"
TTL: Final = "Nats-TTL"
STORED_AT: Final = "Nats-Time-Stamp"
BATCH_ID: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
BATCH_COMMIT: Final = "Nats-Batch-Commit"


_EVENT_HEADERS: Final = 7


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """Encode headers as lines, each with its end, as they stand in a message.

    Raises:
        InvalidEventError: One holds a line break, which would begin another header.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode()
    return _checked(lines, len(headers))


def encode_stored(headers: Mapping[str, str]) -> bytes:
    """Encode the headers of a message that will be stored and is no event, with its version.

    Raises:
        InvalidEventError: One holds a line break, which would begin another header.
    """
    return encode_headers({VERSION: WIRE_VERSION, **headers})


def check_version(headers: Mapping[str, str] | None, where: str) -> None:
    """Refuse what another version wrote; a message that does not say is of the first one.

    Args:
        headers: Of a stored message.
        where: What it is called in the error.

    Raises:
        NewerVersionError: It is of another version.
    """
    version = (headers or {}).get(VERSION, WIRE_VERSION)
    if version != WIRE_VERSION:
        raise NewerVersionError(where, version, WIRE_VERSION)


def encode_event(event: NewEvent, run_seq: int, total_bytes: int, writer: str) -> bytes:
    """Encode the headers that describe ``event`` at its place in the run, as lines.

    Raises:
        InvalidEventError: One holds a line break, which would begin another header.
    """
    # One text for all: this is done for each event that is published.
    lines = (
        f"{EVENT}: {event.event}\r\n{SEQ}: {run_seq}\r\n{BYTES}: {total_bytes}\r\n"
        f"{CATEGORY}: {event.category}\r\n{TIME}: {event.created_at}\r\n"
        f"{WRITER}: {writer}\r\n{VERSION}: {WIRE_VERSION}\r\n"
    ).encode()
    count = _EVENT_HEADERS
    if event.metadata is not None:
        lines = b"%b%b: %b\r\n" % (lines, META.encode(), event.metadata)
        count += 1
    if event.trace:
        lines = b"%b%b: %b\r\n" % (lines, TRACE_PARENT.encode(), event.trace.encode())
        count += 1
    return _checked(lines, count)


def encode_expected(stream_seq: int) -> bytes:
    """Encode the demand that the subject's newest message has this sequence; 0: there is none."""
    return f"{EXPECTED_SUBJECT_SEQUENCE}: {stream_seq}\r\n".encode()


def encode_write(revision: int, nonce: str) -> bytes:
    """Encode the headers of a record's new version, which takes the place of ``revision``."""
    return (
        f"{EXPECTED_SUBJECT_SEQUENCE}: {revision}\r\n{VERSION}: {WIRE_VERSION}\r\n"
        f"{WRITER}: {nonce}\r\n"
    ).encode()


def encode_batch_place(batch_id: str, number: int, *, is_last: bool = False) -> bytes:
    """Encode the place of a message in an atomic batch; the last one commits it."""
    commit = f"{BATCH_COMMIT}: 1\r\n" if is_last else ""
    return f"{BATCH_ID}: {batch_id}\r\n{BATCH_SEQUENCE}: {number}\r\n{commit}".encode()


def _checked(lines: bytes, count: int) -> bytes:
    if lines.count(b"\n") != count:
        raise InvalidEventError("a header must not hold a line break")
    return lines


def headers_of(event: StreamEvent) -> dict[str, str]:
    """Return the headers that describe a stored event; :func:`decode_event` reads them back."""
    headers = {
        EVENT: event.event,
        SEQ: str(event.run_seq),
        BYTES: str(event.total_bytes),
        CATEGORY: event.category,
        TIME: event.created_at,
        WRITER: event.writer,
        VERSION: WIRE_VERSION,
    }
    if event.metadata_json is not None:
        headers[META] = event.metadata_json.decode("ascii")
    return headers


def message_id(run_id: str, event_id: str) -> str:
    """Return the id that the server knows stream-wide; callers choose theirs per run."""
    return f"{run_id}:{event_id}"


def decode_event(
    run: RunRef, stream_seq: int, headers: Mapping[str, str] | None, payload: bytes
) -> StreamEvent:
    """Read a stored message back.

    Raises:
        NewerVersionError: It is of another wire version.
        ForeignMessageError: It was not written by jetrun; it is named so that an operator can look
            at it.
    """
    if headers is None or headers.get(VERSION) != WIRE_VERSION:
        where = _where(run, stream_seq)
        check_version(headers, where)
        raise ForeignMessageError(where, "it has no wire version")
    metadata = headers.get(META)
    try:
        return StreamEvent(
            thread_id=run.thread_id,
            run_id=run.run_id,
            event_id=EventId(stream_seq, int(headers[SEQ])),
            event=headers[EVENT],
            payload=payload,
            category=headers[CATEGORY],
            created_at=headers[TIME],
            total_bytes=int(headers[BYTES]),
            writer=headers[WRITER],
            metadata_json=None if metadata is None else metadata.encode(),
        )
    except (KeyError, ValueError) as error:
        raise ForeignMessageError(_where(run, stream_seq), repr(error)) from error


def _where(run: RunRef, stream_seq: int) -> str:
    return f"message {stream_seq} of run {run.run_id}"
