"""The baseline of the fan-out: a bare event loop that writes each frame to all transports.

A connection that sends a request becomes a reader. A line on standard input makes it write so many
frames, so many seconds apart.
"""

import asyncio
import sys
import time
from itertools import count, islice
from typing import Final

import uvloop

from bench.setting import EVENT, stamped
from bridge import sse_frame

_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def encode(number: int) -> bytes:
    """Return the frame as one chunk of a chunked body, as the gateway sends it."""
    frame = sse_frame(f"{number}-{number}", EVENT, f'"{stamped()}"'.encode())
    return b"%x\r\n%b\r\n" % (len(frame), frame)


class Reader(asyncio.Protocol):
    """One connection."""

    readers: Final[list[asyncio.Transport]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Remember it."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer its request with the head and a first frame."""
        assert data.endswith(b"\r\n\r\n")
        self._transport.write(_HEAD + encode(1))
        self.readers.append(self._transport)


async def main() -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Reader, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    numbers = count(2)
    while line := await lines.readline():
        wanted, pause_s = line.split()
        due_s = time.monotonic()
        for number in islice(numbers, int(wanted)):
            frame = encode(number)
            for reader in Reader.readers:
                reader.write(frame)
            due_s += float(pause_s)
            await asyncio.sleep(due_s - time.monotonic())


uvloop.run(main())
