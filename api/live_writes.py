"""Write live events to one client without waiting: what most deliveries are.

A run with many readers costs little more than one system call for each of them: what came at one
time is encoded as one chunk for all, and written straight to the client's transport.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from api.stream_modes import ModeFilter
from bridge import Push, StreamEvent
from runs import INPUT

#: Bytes that a client may leave unread; above it its events wait, and it is written to in turn.
MAX_UNREAD_BYTES: Final = 64 << 10


class Chunks:
    """Encodes frames as HTTP chunks; remembers the last ones, which the next reader wants, too."""

    def __init__(self) -> None:
        self._events: Sequence[StreamEvent] = ()
        self._may_end = False
        self._chunks: dict[frozenset[str], bytes] = {}

    def of(self, events: Sequence[StreamEvent], modes: ModeFilter) -> bytes | None:
        """Return one chunk of the frames that are wanted; empty when none is.

        ``None`` where the stream may end with one of them: its reader has to look.
        """
        if events is not self._events:
            self._events, self._chunks = events, {}
            self._may_end = any(event.category == INPUT for event in events)
        chunk = self._chunks.get(modes.names)
        if chunk is None:
            if self._may_end:
                return None
            frames = b"".join(
                [event.frame for event in events if modes.admits(event.event, event.category)]
            )
            chunk = b"%x\r\n%b\r\n" % (len(frames), frames) if frames else b""
            self._chunks[modes.names] = chunk
        return chunk


def live_push(
    request: web.Request, response: web.StreamResponse, modes: ModeFilter, chunks: Chunks
) -> Push | None:
    """Return what writes live events to the client, or ``None`` where it must wait its turn.

    Args:
        request: The request that is answered.
        response: Its answer, with the headers sent.
        modes: Which events the client wants; the others are passed over.
        chunks: Shared by all clients of the process.
    """
    transport = request.transport
    if request.version < HttpVersion11 or response.compression or transport is None:
        return None
    return _LiveWrites(transport, request.writer, modes, chunks).push


class _LiveWrites:
    """One client that takes live events.

    Called for each delivery, so it keeps nothing but what that needs, close together.
    """

    __slots__ = ("_chunks", "_modes", "_transport", "_writer")

    def __init__(
        self,
        transport: asyncio.Transport,
        writer: AbstractStreamWriter,
        modes: ModeFilter,
        chunks: Chunks,
    ) -> None:
        self._transport = transport
        self._writer = writer
        self._modes = modes
        self._chunks = chunks

    def push(self, events: Sequence[StreamEvent]) -> bool:
        """Write events, unless the client is slow or gone or one of them may end its stream."""
        transport = self._transport
        if transport.is_closing() or transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            return False
        chunk = self._chunks.of(events, self._modes)
        if chunk is None:
            return False
        if chunk:
            transport.write(chunk)
            self._writer.output_size += len(chunk)
        return True
