"""Say the pieces of messages as the protocol's message events: start, blocks, deltas, finish.

Only messages that are still open are kept; what is put together of one goes with its finish.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from api.message_merging import Message, is_chunk, merged, whole
from api.message_pieces import find_piece

#: The data of a message event, or of a tool's, by its method.
Said = tuple[str, dict[str, Any]]

_ROLES: Final = {"ai": "ai", "human": "human", "system": "system"}
_TEXTS: Final = {"text": "text", "reasoning": "reasoning"}
_TOOL: Final = "tool_call_chunk"


@dataclass(slots=True)
class _Open:
    """A message whose end has not come yet.

    Attributes:
        message: What was put together so far.
        node: The node of the graph that it comes from.
        blocks: The blocks that have begun, by kind and the model's own index, in order.
    """

    message: Message
    node: Any
    blocks: dict[tuple[str, Any], Message] = field(default_factory=dict)


class MessageEvents:
    """The messages of one run in one namespace."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def of_piece(self, data: Any) -> list[Said]:
        """Return what one stored piece of a message says."""
        match find_piece(data):
            case {"type": "tool"} as message, _:
                return [_tool_result(message)]
            case {"id": str() as message_id} as piece, about:
                return list(self._said(message_id, piece, about))
            case _:
                return []

    def finish(self, nodes: Iterable[str] | None = None) -> list[Said]:
        """End open messages: those of some nodes, or all."""
        ended = [
            message_id
            for message_id, each in self._open.items()
            if nodes is None or each.node in nodes
        ]
        return [said for message_id in ended for said in self._finished(message_id)]

    def _said(self, message_id: str, piece: Message, about: Any) -> Iterator[Said]:
        kind = whole(piece)["type"]
        if kind not in _ROLES:
            return
        known = self._open.get(message_id)
        if known is None:
            node = about.get("langgraph_node") if isinstance(about, Mapping) else None
            known = self._open[message_id] = _Open(piece, node)
            metadata = {} if node is None else {"langgraph_node": node}
            yield (
                "messages",
                {
                    "event": "message-start",
                    "role": _ROLES[kind],
                    "id": message_id,
                    "metadata": metadata,
                },
            )
        else:
            known.message = merged(known.message, piece)
        for key, part in _parts(piece):
            for said in _grown(known, key, part):
                yield "messages", {**said, "message_id": message_id}
        if not is_chunk(piece) or piece.get("chunk_position") == "last":
            yield from self._finished(message_id)

    def _finished(self, message_id: str) -> Iterator[Said]:
        ended = self._open.pop(message_id)
        shown = whole(ended.message)
        calls = shown.get("tool_calls") or []
        place = {"message_id": message_id}
        for index, ((kind, _), block) in enumerate(ended.blocks.items()):
            content = block
            if kind == _TOOL:
                content = next((call for call in calls if call.get("id") == block["id"]), block)
            finish = {"event": "content-block-finish", "index": index, "content": content}
            yield "messages", {**finish, **place}
        usage = ended.message.get("usage_metadata")
        finish = {"event": "message-finish", **({} if usage is None else {"usage": usage})}
        yield "messages", {**finish, **place}
        for call in calls:
            if isinstance(call.get("id"), str):
                yield (
                    "tools",
                    {
                        "event": "tool-started",
                        "tool_call_id": call["id"],
                        "tool_name": call.get("name") or "",
                        "input": call.get("args"),
                    },
                )


def _tool_result(message: Message) -> Said:
    facts = {"tool_call_id": str(message.get("tool_call_id"))}
    if message.get("status") == "error":
        text = str(message.get("content"))
        return "tools", {"event": "tool-error", **facts, "message": text}
    return "tools", {"event": "tool-finished", **facts, "output": message}


def _parts(piece: Message) -> Iterator[tuple[tuple[str, Any], Message]]:
    """Yield what a piece adds, each part with the block that it belongs to."""
    content = piece.get("content")
    if isinstance(content, str) and content:
        yield ("text", None), {"text": content}
    for number, item in enumerate(content if isinstance(content, list) else ()):
        if isinstance(item, str):
            yield ("text", None), {"text": item}
        elif isinstance(item, dict) and item.get("type") in _TEXTS:
            yield (item["type"], item.get("index", number)), item
    chunks = piece.get("tool_call_chunks") or [
        {**call, "args": None, "whole": call} for call in piece.get("tool_calls") or ()
    ]
    for number, chunk in enumerate(chunks):
        index = chunk.get("index")
        yield (_TOOL, number if index is None else index), chunk


def _grown(known: _Open, key: tuple[str, Any], part: Message) -> Iterator[dict[str, Any]]:
    kind = key[0]
    is_new = key not in known.blocks
    if is_new:
        empty: Message = {"type": kind}
        if kind == _TOOL:
            empty |= {"id": part.get("id"), "name": part.get("name"), "args": ""}
        else:
            empty[kind] = ""
        known.blocks[key] = dict(empty)
    block = known.blocks[key]
    index = list(known.blocks).index(key)
    if is_new:
        yield {"event": "content-block-start", "index": index, "content": dict(block)}
    name, delta = ("args", "tool-call-delta") if kind == _TOOL else (kind, f"{kind}-delta")
    more = part.get(name)
    if isinstance(more, str) and more:
        block[name] += more
        change = {"type": delta, name: more}
        yield {"event": "content-block-delta", "index": index, "delta": change}
