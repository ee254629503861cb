r"""One line of the archive: how an event becomes a line, and a line a record.

A line holds the event's JSON verbatim: it is spliced in, never decoded and encoded again. Three
things differ from what was published, and none of them changes a value: U+0085, U+2028 and U+2029
are escaped, raw line breaks between tokens become spaces, and the line ends with ``\n``. So a
line break is always the end of a record, whatever splits the lines.

Lines of this version do not say so. Those of a later one begin with ``{"version":``, a number and a
comma, and are refused here, never taken for damaged ones.
"""

import json
import re
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge import EventId, StreamEvent
from store.errors import InvalidPayloadError, MalformedLineError, NewerArchiveError

# The place comes first, at a bounded distance from the start of the line, and the content last:
# one look at the start says where a line stands, and a payload can be cut out without parsing it.
_LINE: Final = (
    b'{"thread_id":"%b","run_id":"%b","seq":%d,"run_seq":%d,"created_at":%b,'
    b'"event_type":%b,"category":%b,"metadata":%b,"content":%b}\n'
)
_PLACE: Final = re.compile(
    rb'\{"thread_id":"([A-Za-z0-9_-]{1,64})","run_id":"([A-Za-z0-9_-]{1,64})",'
    rb'"seq":([0-9]{1,20}),"run_seq":([0-9]{1,20}),'
)
LINE_VERSION: Final = 1
_NEWER: Final = re.compile(rb'\{"version":([0-9]{1,20}),')
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")
# A JSON string as the standard libraries write it; none of these holds a raw line break.
_STRING: Final = rb'"(?:[^"\\]|\\.)*"'
_FACTS: Final = re.compile(
    rb'"created_at":(%b),"event_type":(%b),"category":(%b),"metadata":' % ((_STRING,) * 3)
)
_CONTENT: Final = b',"content":'
_NO_METADATA: Final = b"null" + _CONTENT
_LINE_END: Final = b"}\n"
# orjson reads an integer beyond 64 bits as a float; the standard library keeps its digits.
_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")


class Record(BaseModel):
    """One archived event.

    Attributes:
        thread_id: The thread that owns the run.
        run_id: The run.
        seq: The event's sequence in the log: strictly increasing per thread, never reused.
        run_seq: The event's number in its run: 1, 2, 3...
        created_at: The publisher's time, RFC 3339.
        event_type: The event's name.
        category: What kind of event it is.
        metadata: The JSON object that travelled beside the data, if any.
        content: The event's data, any JSON value.
    """

    model_config = ConfigDict(frozen=True)

    thread_id: str
    run_id: str
    seq: int = Field(ge=1)
    run_seq: int = Field(ge=1)
    created_at: str
    event_type: str
    category: str
    metadata: dict[str, Any] | None
    content: Any


class Place(NamedTuple):
    """Where a line belongs: its run, and its position there."""

    thread_id: str
    run_id: str
    seq: int
    run_seq: int


def encode_line(event: StreamEvent) -> bytes:
    """Encode an event as one line, its payload and metadata spliced in verbatim.

    The same event gives the same bytes in every process.

    Raises:
        InvalidPayloadError: Payload or metadata is not JSON; only a publisher that does not use
            the bridge can have stored such an event.
    """
    metadata = b"null"
    if event.metadata_json is not None:
        metadata = _one_line("metadata", event.metadata_json).strip()
        if not metadata.startswith(b"{"):
            raise InvalidPayloadError("metadata is no JSON object")
    return _line(event, metadata, _one_line("payload", event.payload))


def encode_placeholder(event: StreamEvent, cause: str) -> bytes:
    """Encode the line that keeps the place of an event that :func:`encode_line` refused.

    Args:
        event: The refused event.
        cause: Why it was refused; readers find it as ``metadata["dead_letter"]``.
    """
    return _line(event, orjson.dumps({"dead_letter": cause}), b"null")


def encode_archived(event: StreamEvent) -> bytes:
    """Encode the line that the archive holds of an event, whatever the event is."""
    try:
        return encode_line(event)
    except InvalidPayloadError as error:
        return encode_placeholder(event, error.code)


def parse_line(line: bytes) -> Record:
    """Read one line, with or without its line break.

    Raises:
        MalformedLineError: The line is no record.
        NewerArchiveError: It is one of a newer version.
    """
    _check_version(line)
    try:
        return Record.model_validate(_parse_json(line))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MalformedLineError(f"{where}: {first['msg']}" if where else first["msg"]) from error
    except (ValueError, RecursionError) as error:
        raise MalformedLineError(f"not JSON: {error}") from error


def find_place(line: bytes) -> Place | None:
    """Read where a line belongs from its first bytes; ``None`` when it does not start like ours.

    Raises:
        NewerArchiveError: It starts like one of a newer version.
    """
    match = _PLACE.match(line)
    if match is None:
        _check_version(line)
        return None
    return Place(match[1].decode(), match[2].decode(), int(match[3]), int(match[4]))


def decode_event(line: bytes) -> StreamEvent:
    """Make the event of a line again, its payload cut out verbatim and not parsed.

    It equals the event that the log held, but for ``total_bytes`` and ``writer``, which are not
    archived. U+0085, U+2028 and U+2029 stay escaped.

    Args:
        line: A whole line with its line break.

    Raises:
        MalformedLineError: The line is not one of ours.
        NewerArchiveError: It is one of a newer version.
    """
    _check_version(line)
    place = _PLACE.match(line)
    facts = None if place is None else _FACTS.match(line, place.end())
    if place is None or facts is None or not line.endswith(_LINE_END):
        raise MalformedLineError("not a line that a sink writes")
    metadata, start = _cut_metadata(line, facts.end())
    payload = line[start : -len(_LINE_END)]
    try:
        _one_line("payload", payload)
    except InvalidPayloadError as error:
        raise MalformedLineError(str(error)) from error
    created_at, event, category = (orjson.loads(text) for text in facts.groups())
    return StreamEvent(
        thread_id=place[1].decode(),
        run_id=place[2].decode(),
        event_id=EventId(int(place[3]), int(place[4])),
        event=event,
        payload=payload,
        category=category,
        created_at=created_at,
        total_bytes=0,
        metadata_json=metadata,
    )


def _check_version(line: bytes) -> None:
    match = _NEWER.match(line)
    if match is not None:
        raise NewerArchiveError(int(match[1]), LINE_VERSION)


def _cut_metadata(line: bytes, start: int) -> tuple[bytes | None, int]:
    """Return the metadata that begins at ``start``, and where the content begins."""
    if line.startswith(_NO_METADATA, start):
        return None, start + len(_NO_METADATA)
    # Only a parser knows where an object ends that may hold anything.
    try:
        text = line[start:].decode()
        _, length = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise MalformedLineError(f"metadata is not JSON: {error}") from error
    metadata = text[:length].encode()
    content = start + len(metadata)
    if not line.startswith(_CONTENT, content):
        raise MalformedLineError("the content does not follow the metadata")
    return metadata, content + len(_CONTENT)


def _line(event: StreamEvent, metadata: bytes, content: bytes) -> bytes:
    line = _LINE % (
        event.thread_id.encode(),
        event.run_id.encode(),
        event.event_id.stream_seq,
        event.event_id.run_seq,
        _text(event.created_at),
        _name(event.event),
        _name(event.category),
        metadata,
        content,
    )
    # Each is one code point of UTF-8, which cannot match across the borders of others, and outside
    # of strings JSON knows only ASCII.
    if b"\xe2\x80" in line:
        line = line.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")
    if b"\xc2\x85" in line:
        line = line.replace(b"\xc2\x85", rb"\u0085")
    return line


@lru_cache(maxsize=1024)
def _name(value: str) -> bytes:
    return _text(value)


def _text(value: str) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # A foreign publisher's header that is not UTF-8 arrives with lone surrogates.
        return orjson.dumps(value.encode("utf-8", "replace").decode())


def _one_line(what: Literal["payload", "metadata"], encoded: bytes) -> bytes:
    try:
        orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        _check_grammar(what, encoded, error)
    # JSON escapes control characters in strings, so a raw line break stands between tokens.
    if b"\n" in encoded or b"\r" in encoded:
        encoded = encoded.translate(_LINE_BREAKS)
    return encoded


def _check_grammar(what: str, encoded: bytes, refusal: orjson.JSONDecodeError) -> None:
    # orjson refuses some values that are correct JSON: deep nesting, 1e400, lone surrogates.
    try:
        json.loads(encoded.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidPayloadError(f"{what} is not JSON: {refusal}") from refusal


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _parse_json(line: bytes) -> Any:
    if _LONG_NUMBER.search(line) is None:
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            pass  # the standard library decides, as it did when the line was encoded
    return json.loads(line.decode(), parse_constant=_refuse_constant)
