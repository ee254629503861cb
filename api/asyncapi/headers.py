"""The headers of every kind of message, as JSON schemas of what they hold as text."""

from collections.abc import Mapping
from typing import Any, Final

from bridge import DeadCause, wire
from bridge.dead_letters import MAX_REASON_LENGTH
from bridge.events import MAX_EVENT_NAME_LENGTH, MAX_NAME_LENGTH

Schema = Mapping[str, Any]

_NUMBER: Final = {"type": "string", "pattern": "^[0-9]+$"}
_TIME: Final = {"type": "string", "format": "date-time"}
_TEXT: Final = {"type": "string", "minLength": 1}


def _of(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


#: What every event carries.
EVENT: Final[Mapping[str, Schema]] = {
    wire.EVENT: _of(
        {**_TEXT, "maxLength": MAX_EVENT_NAME_LENGTH}, "the name that clients dispatch on"
    ),
    wire.SEQ: _of(_NUMBER, "number of the event in its run, from 1, without holes"),
    wire.BYTES: _of(_NUMBER, "payload bytes of the run up to and including this event"),
    wire.CATEGORY: _of({**_TEXT, "maxLength": MAX_NAME_LENGTH}, "what kind of event it is"),
    wire.TIME: _of(_TIME, "the publisher's clock when the event was made"),
    wire.WRITER: _of(_TEXT, "mark of the writer that stored it"),
    wire.VERSION: _of({"type": "string", "const": wire.WIRE_VERSION}, "version of these headers"),
}

#: What an event carries when its publisher said so.
EVENT_OPTIONAL: Final[Mapping[str, Schema]] = {
    wire.META: _of(_TEXT, "a JSON object beside the data, in ASCII"),
    wire.MESSAGE_ID: _of(_TEXT, "{run}:{event_id}: makes a repeat within 120 s store nothing"),
    wire.TRACE_PARENT: _of(_TEXT, "W3C Trace Context: the span that published it, when traced"),
}

#: What the server was told when it stored the event.
STORED: Final[Mapping[str, Schema]] = {
    wire.EXPECTED_SUBJECT_SEQUENCE: _of(_NUMBER, "the predecessor's sequence: the condition"),
    wire.BATCH_ID: _of(_TEXT, "of an atomic batch; readers ignore it"),
    wire.BATCH_SEQUENCE: _of(_NUMBER, "place in the batch; readers ignore it"),
    wire.BATCH_COMMIT: _of({"type": "string", "const": "1"}, "ends the batch; readers ignore it"),
}

#: What the marker of a deleted run carries beside.
DELETED: Final[Mapping[str, Schema]] = {
    wire.ROLLUP: _of({"type": "string", "const": "sub"}, "it took the place of all events"),
    wire.TTL: _of({"type": "string", "pattern": "^[0-9]+s$"}, "how long it stays"),
}

#: What the server adds when it sends an event again on the live subject.
LIVE: Final[Mapping[str, Schema]] = {
    "Nats-Stream": _of(_TEXT, "the stream that stores the event"),
    "Nats-Subject": _of(_TEXT, "where the event is stored"),
    wire.STREAM_SEQUENCE: _of(_NUMBER, "its sequence: the first half of the event's id"),
    "Nats-Time-Stamp": _of(_TIME, "when the server stored it"),
    "Nats-Last-Sequence": _of(_NUMBER, "sequence of the message before it on the subject"),
}

DEAD_LETTER: Final[Mapping[str, Schema]] = {
    wire.DEAD_CONSUMER: _of(_TEXT, "who gave the event up"),
    wire.DEAD_SEQUENCE: _of(_NUMBER, "the event's stream sequence"),
    wire.DEAD_CAUSE: _of({"type": "string", "enum": [each.value for each in DeadCause]}, "why"),
    wire.DEAD_REASON: _of({**_TEXT, "maxLength": MAX_REASON_LENGTH}, "the same for people"),
    wire.DEAD_ATTEMPT: _of(_NUMBER, "how often the event had been handed out"),
    wire.DEAD_TIME: _of(_TIME, "when it was given up"),
    wire.MESSAGE_ID: _of(_TEXT, "{consumer}:{sequence}: makes a repeated letter none"),
}

#: What everything carries that is stored beside the events.
VERSIONED: Final[Mapping[str, Schema]] = {wire.VERSION: EVENT[wire.VERSION]}

STATE: Final[Mapping[str, Schema]] = {
    **VERSIONED,
    wire.WRITER: _of(_TEXT, "mark of this very write"),
    wire.EXPECTED_SUBJECT_SEQUENCE: _of(_NUMBER, "the revision that it replaces; 0 for none"),
}

TIMER: Final[Mapping[str, Schema]] = {
    **VERSIONED,
    wire.SCHEDULE: _of({"type": "string", "pattern": "^@at "}, "when the server fires it"),
    wire.SCHEDULE_TARGET: _of(_TEXT, "where the server stores it again then"),
}

#: What the server adds to a timer as it stores it.
TIMER_STORED: Final[Mapping[str, Schema]] = {
    wire.ROLLUP: _of({"type": "string", "const": "sub"}, "it takes the place of an earlier one"),
}

#: What the server says of a timer that it has fired.
TIMER_FIRED: Final[Mapping[str, Schema]] = {
    "Nats-Scheduler": _of(_TEXT, "where the timer was set"),
    "Nats-Schedule-Next": _of({"type": "string", "const": "purge"}, "it was fired for good"),
}

#: What whoever stores something of a thread's checkpoints must still have, and its mark.
CLAIMED: Final[Mapping[str, Schema]] = {
    **VERSIONED,
    wire.EXPECTED_SUBJECT: _of(_TEXT, "where the thread's claim is"),
    wire.EXPECTED_SUBJECT_SEQUENCE: _of(_NUMBER, "the claim's sequence: the condition"),
    wire.MESSAGE_ID: _of(_TEXT, "makes a repeated copy none"),
}

CHECKPOINT: Final[Mapping[str, Schema]] = {
    **CLAIMED,
    wire.CHECKPOINT_THREAD: _of(_TEXT, "the thread, as a JSON string"),
    wire.CHECKPOINT_LANE: _of(_TEXT, "the graph's namespace, as a JSON string"),
    wire.CHECKPOINT_ID: _of(_TEXT, "the checkpoint, as a JSON string"),
}

CHECKPOINT_OPTIONAL: Final[Mapping[str, Schema]] = {
    wire.CHECKPOINT_PARTS: _of(_NUMBER, "how many parts have the content; here is none"),
}

CLAIM: Final[Mapping[str, Schema]] = {
    **VERSIONED,
    wire.WRITER: _of(_TEXT, "mark of this very write"),
    wire.EXPECTED_SUBJECT_SEQUENCE: _of(_NUMBER, "the claim that it replaces; 0 for none"),
    wire.ROLLUP: _of({"type": "string", "const": "sub"}, "it takes the place of earlier ones"),
}

#: What keeps writers out of a thread that was erased carries beside.
CLAIM_OPTIONAL: Final[Mapping[str, Schema]] = {wire.TTL: DELETED[wire.TTL]}

ITEM: Final[Mapping[str, Schema]] = {
    **VERSIONED,
    wire.MESSAGE_ID: _of(_TEXT, "makes a repeated copy none"),
}

ITEM_OPTIONAL: Final[Mapping[str, Schema]] = {
    wire.TTL: DELETED[wire.TTL],
    wire.ITEM_TOUCHED: _of(_TIME, "when it was put or read last, where it has a time to live"),
    wire.EXPECTED_SUBJECT_SEQUENCE: _of(_NUMBER, "the copy that a read renews"),
}


def headers_schema(*required: Mapping[str, Schema], **optional: Mapping[str, Schema]) -> Schema:
    """Return the schema of a message's headers; a header that is in no table is not allowed."""
    always = {name: schema for table in required for name, schema in table.items()}
    maybe = {name: schema for table in optional.values() for name, schema in table.items()}
    return {
        "type": "object",
        "properties": {**maybe, **always},
        "required": list(always),
        "additionalProperties": False,
    }
