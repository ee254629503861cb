"""Ids that are one subject token, the shard they fall into, and the id of an event.

An event id is ``{stream_sequence}-{run_seq}``: O(1) to resume from, checkable against the log, and
the same on every gateway and after every restart. Clients treat it as opaque.
"""

import re
from enum import Enum
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias
from uuid import uuid4
from zlib import crc32

from bridge.errors import InvalidIdError

SHARDS: Final = 64

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EVENT_ID = re.compile(r"([1-9][0-9]{0,19})-([1-9][0-9]{0,19})", re.ASCII)
_FROM_START: Final = frozenset({"", "-", "-1", "0", "0-0"})
_MAX_SEQ: Final = 2**64 - 1


def check_id(kind: str, value: object) -> str:
    """Return ``value`` when it is a valid id.

    Args:
        kind: What the id names, for the message, for example ``"run_id"``.
        value: The id as it came in.

    Raises:
        InvalidIdError: The value is not one subject token of 1 to 64 characters.
    """
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise InvalidIdError(kind, value)
    return value


def is_id(value: str) -> bool:
    """Whether a text is one subject token as ids are."""
    return _ID.fullmatch(value) is not None


def token(value: str) -> str:
    """Return the subject token that stands for any text: the text itself where it is an id.

    Other text is hashed behind ``~``, which no id holds, so no two texts share a token.
    """
    if is_id(value):
        return value
    return "~" + blake2b(value.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def new_id() -> str:
    """Make an id that no other process makes: a random UUID in its usual form."""
    return str(uuid4())


def shard(value: str) -> str:
    """Return the subject token that spreads ids over streams: two hex digits, fixed forever."""
    return shard_token(crc32(value.encode()) % SHARDS)


def shard_token(number: int) -> str:
    """Return the subject token of a shard, counted from 0."""
    return f"{number:02x}"


class EventId(NamedTuple):
    """The place of one event: in the stream of all runs, and in its own run."""

    stream_seq: int
    run_seq: int

    def __str__(self) -> str:
        return f"{self.stream_seq}-{self.run_seq}"


class CursorKind(Enum):
    """A cursor that is no event id."""

    START = "start"
    MALFORMED = "malformed"


START: Final = CursorKind.START
MALFORMED: Final = CursorKind.MALFORMED

Cursor: TypeAlias = EventId | CursorKind


def parse_cursor(value: str | None) -> Cursor:
    """Read the id of the last event that a client handled.

    Args:
        value: What the client sent. ``None``, empty, ``-``, ``-1``, ``0`` and ``0-0`` mean from
            the start.

    Returns:
        The event id, ``START``, or ``MALFORMED``; a malformed cursor is answered in-band by a gap,
        so it is no exception here.
    """
    if value is None or value in _FROM_START:
        return START
    match = _EVENT_ID.fullmatch(value)
    if match is None:
        return MALFORMED
    stream_seq, run_seq = int(match[1]), int(match[2])
    if stream_seq > _MAX_SEQ or run_seq > _MAX_SEQ:
        return MALFORMED
    return EventId(stream_seq, run_seq)
