"""Read the pieces of messages that are stored, of which anybody who may emit events can make some.

What has not the form that LangChain's messages have is no piece: it must not break off the streams
of all who read the run.
"""

from contextlib import suppress
from typing import Any, Final, Required

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from api.message_merging import Message


class _Part(TypedDict, total=False):
    type: str
    index: int | str | None


class _Call(TypedDict, total=False):
    index: int | str | None


class _CallChunk(_Call, total=False):
    args: str | None


class _Piece(TypedDict, total=False):
    """What is relied on of a piece; it may hold more."""

    type: Required[str]
    id: str | None
    content: str | list[str | _Part] | None
    tool_calls: list[_Call] | None
    tool_call_chunks: list[_CallChunk] | None
    usage_metadata: dict[str, Any] | None


_FORM: Final = TypeAdapter(_Piece)


def find_piece(data: Any) -> tuple[Message, Any] | None:
    """Return the piece that an event holds, and what it tells about it; ``None`` if it is none."""
    match data:
        case [dict() as piece, about]:
            with suppress(ValidationError):  # then it is something else
                _FORM.validate_python(piece)
                return piece, about
    return None
