"""Write a live event to one client without waiting: what most deliveries are.

A run with many readers costs little more than one system call for each of them: the chunk is
encoded once for all, and written straight to the client's transport.
"""

from typing import Final

from aiohttp import HttpVersion11, web

from api.stream_modes import ModeFilter
from bridge import Push, StreamEvent
from runs import INPUT

#: Bytes that a client may leave unread; above it its events wait, and it is written to in turn.
MAX_UNREAD_BYTES: Final = 64 << 10


class Chunks:
    """Encodes frames as HTTP chunks; remembers the last one, which the next reader wants, too."""

    def __init__(self) -> None:
        self._event: StreamEvent | None = None
        self._chunk = b""

    def of(self, event: StreamEvent) -> bytes:
        """Return the chunk of an event's frame."""
        if event is not self._event:
            frame = event.frame
            self._event, self._chunk = event, b"%x\r\n%b\r\n" % (len(frame), frame)
        return self._chunk


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
    if request.version < HttpVersion11 or response.compression:
        return None

    def push(event: StreamEvent) -> bool:
        if event.category == INPUT:
            return False  # the stream may end with it
        if not modes.admits(event.event, event.category):
            return True
        transport = request.transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            return False
        chunk = chunks.of(event)
        transport.write(chunk)
        request.writer.output_size += len(chunk)
        return True

    return push
