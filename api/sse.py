"""Encode what goes over the wire beside the events themselves, which carry their own frame.

Every block has an id but the gap's. A comment ends with ONE newline: the blank line of a second
one would make an empty event in clients that have seen an id.
"""

from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Any, Final

import orjson

from bridge import StreamEvent, StreamGap, Terminal, sse_frame
from runs import outcome_of

HEADERS: Final = MappingProxyType(
    {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
)
HEARTBEAT: Final = b": hb\n"

#: Milliseconds after which an EventSource may ask again once the run has ended: a day.
RETRY_AFTER_END_MS: Final = 86_400_000

#: Bytes of waiting frames that go into one write.
MAX_WRITE_BYTES: Final = 256 << 10

_GAP_CODE: Final = "stream_replay_gap"


def comment_block(text: str) -> bytes:
    """Encode a line that clients do not see and people do."""
    return b": %b\n" % " ".join(text.split()).encode("utf-8", "replace")


def gap_block(gap: StreamGap) -> bytes:
    """Encode what is told instead of missing events; without an id, so that no cursor moves."""
    data = {
        "code": _GAP_CODE,
        "reason": gap.reason.value,
        "missing": gap.missing,
        "run_id": gap.run_id or None,
        "requested_event_id": gap.requested_event_id,
        "earliest_available_event_id": gap.earliest_available_event_id,
        "latest_available_event_id": gap.latest_available_event_id,
    }
    return b"event: gap\ndata: %b\n\n" % orjson.dumps(data)


def end_block(event_id: str) -> bytes:
    """Encode the last block of every stream whose run has ended."""
    return b"id: %b\nevent: end\nretry: %d\ndata: null\n\n" % (
        event_id.encode(),
        RETRY_AFTER_END_MS,
    )


def terminal_blocks(terminal: StreamEvent) -> bytes:
    """Encode how the run ended: its error if it has one, then ``end``, both with one id."""
    error = _error_of(terminal)
    if error is None:
        return end_block(terminal.id)
    return sse_frame(terminal.id, "error", orjson.dumps(error)) + end_block(terminal.id)


def _error_of(terminal: StreamEvent) -> dict[str, Any] | None:
    if terminal.event not in _SHOWN_AS_ERROR:
        return None
    fault = outcome_of(terminal).error
    return {"error": "Error", "message": ""} if fault is None else fault.model_dump()


def run_done_block(terminal: StreamEvent) -> bytes:
    """Encode the end of a run on a stream that goes on with the thread's other runs.

    ``end`` and ``error`` would make clients leave; the platform's thread stream tells it by
    ``metadata``, too.
    """
    data = {
        "status": "run_done",
        "run_id": terminal.run_id,
        "thread_id": terminal.thread_id,
        "error": _error_of(terminal),
    }
    return sse_frame(terminal.id, "metadata", orjson.dumps(data))


_SHOWN_AS_ERROR: Final = frozenset({Terminal.ERRORED.value, Terminal.DEAD_LETTER.value})


def coalesce(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Join frames into as few writes as the bound of one write allows."""
    if sum(map(len, frames)) <= MAX_WRITE_BYTES:
        if frames:
            yield b"".join(frames)
        return
    yield from _bounded(frames)


def _bounded(frames: Iterable[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for frame in frames:
        if waiting and size + len(frame) > MAX_WRITE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(frame)
        size += len(frame)
    yield b"".join(waiting)
