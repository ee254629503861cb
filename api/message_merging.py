"""Put a message together from its pieces, as JSON: what a model said up to now.

The pieces are those of LangChain's chunks; the rules by which they add up are its rules. Whatever
does not fit them replaces what was there, because a reader is better served by the newest piece
than by none.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

_KIND_OF_CHUNK: Final[Mapping[str, str]] = {
    "AIMessageChunk": "ai",
    "ChatMessageChunk": "chat",
    "FunctionMessageChunk": "function",
    "HumanMessageChunk": "human",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
}
_ONLY_OF_CHUNKS: Final = frozenset({"chunk_position", "tool_call_chunks"})
#: Numbers that name or date something; others are counts, and add up.
_LAST_WINS: Final = frozenset({"created", "index", "timestamp"})
#: Texts that are told again with each piece.
_REPEATED: Final = frozenset({"id", "index", "model_provider", "output_version", "type"})

Message = dict[str, Any]


def is_chunk(message: Message) -> bool:
    """Whether a message is one piece of several."""
    return message.get("type") in _KIND_OF_CHUNK


def merged(message: Message, piece: Message) -> Message:
    """Return a message with its next piece added; neither is changed."""
    return {
        **message,
        **{name: each for name, each in piece.items() if each is not None and name not in message},
        "content": _merged_content(message.get("content"), piece.get("content")),
        **{
            name: _merged_value(name, message.get(name), piece.get(name))
            for name in ("additional_kwargs", "response_metadata", "tool_call_chunks")
            if name in message or name in piece
        },
        "usage_metadata": _added_usage(message.get("usage_metadata"), piece.get("usage_metadata")),
    }


def whole(message: Message) -> Message:
    """Show what pieces add up to as a message of its own."""
    shown = {name: each for name, each in message.items() if name not in _ONLY_OF_CHUNKS}
    shown["type"] = _KIND_OF_CHUNK.get(message["type"], message["type"])
    if message.get("tool_call_chunks"):
        calls, invalid = _tool_calls(message["tool_call_chunks"])
        shown |= {"tool_calls": calls, "invalid_tool_calls": invalid}
    return shown


def _merged_content(left: Any, right: Any) -> Any:
    if right is None or left is None:
        return (left if right is None else right) or ""
    if isinstance(left, str):
        return left + right if isinstance(right, str) else [left, *right]
    if not isinstance(right, str):
        return _merged_lists(left, right)
    if left and isinstance(left[-1], str):
        return [*left[:-1], left[-1] + right]
    return [*left, right] if right else left


def _merged_value(name: str, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return left if right is None else right
    match left, right:
        case dict(), dict():
            return _merged_objects(left, right)
        case list(), list():
            return _merged_lists(left, right)
        case str(), str():
            return left if left == right and name in _REPEATED else left + right
        case _:
            return _merged_number(name, left, right)


def _merged_number(name: str, left: Any, right: Any) -> Any:
    is_count = type(left) is type(right) is int and name not in _LAST_WINS
    return left + right if is_count and left != right else right


def _added_usage(left: Message | None, right: Message | None) -> Message | None:
    if left is None or right is None:
        return left if right is None else right
    result = dict(left)
    for name, each in right.items():
        known = result.get(name)
        if isinstance(each, dict):
            result[name] = _added_usage(known if isinstance(known, dict) else {}, each)
        elif isinstance(each, int):
            result[name] = (known if isinstance(known, int) else 0) + each
    return result


def _merged_objects(left: Message, right: Message) -> Message:
    names = [*left, *(name for name in right if name not in left)]
    return {name: _merged_value(name, left.get(name), right.get(name)) for name in names}


def _merged_lists(left: list[Any], right: list[Any]) -> list[Any]:
    result = list(left)
    for item in right:
        place = _place_of(result, item)
        if place is None:
            result.append(item)
        else:
            rest = {name: each for name, each in item.items() if name != "type"}
            result[place] = _merged_objects(result[place], rest)
    return result


def _place_of(items: list[Any], wanted: Any) -> int | None:
    if not isinstance(wanted, dict) or wanted.get("index") is None:
        return None
    for place, item in enumerate(items):
        if isinstance(item, dict) and item.get("index") == wanted["index"]:
            its_id, wanted_id = item.get("id"), wanted.get("id")
            if not its_id or not wanted_id or its_id == wanted_id:
                return place
    return None


def _tool_calls(chunks: list[Message]) -> tuple[list[Message], list[Message]]:
    calls: list[Message] = []
    invalid: list[Message] = []
    for chunk in chunks:
        facts = {"name": chunk.get("name"), "id": chunk.get("id")}
        given = parse_begun_json(chunk["args"]) if chunk.get("args") else {}
        if isinstance(given, dict):
            named = {**facts, "name": chunk.get("name") or ""}
            calls.append({**named, "args": given, "type": "tool_call"})
        else:
            error = {"args": chunk.get("args"), "error": None, "type": "invalid_tool_call"}
            invalid.append({**facts, **error})
    return calls, invalid


def parse_begun_json(text: str) -> Any:
    """Parse JSON that has only begun, as far as it makes sense; None when it makes none."""
    begun, closing = _opened(text)
    for end in range(len(begun), 0, -1):
        with suppress(ValueError):
            return json.loads(begun[:end] + closing, strict=False)
    return None


def _opened(text: str) -> tuple[str, str]:
    """Return ``text`` with an open string closed, and what closes the rest of what is open."""
    closing: list[str] = []
    in_string = escaped = False
    for char in text:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "{[":
            closing.append("}" if char == "{" else "]")
        elif char in "}]" and (not closing or closing.pop() != char):
            return "", ""
    ended = text[:-1] if escaped else text
    return ended + ('"' if in_string else ""), "".join(reversed(closing))
