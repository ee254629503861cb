"""Many readers of event streams in one process: raw sockets, nothing but counting.

Commands come as lines of JSON on standard input, and each is answered by one line:
``{"open": [port, path, count]}`` connects, ``{"read": [port, blocks]}`` reads until each reader of
that port has got so many blocks more, and answers when that was on the system's monotonic clock.
"""

import json
import select
import socket
import sys
import time
from typing import Final

from bench.machine import raise_open_files

_BUFFER_BYTES: Final = 256 << 10
_SILENCE_S: Final = 60.0
_BLOCK_END: Final = b"\n\n"


class Readers:
    """The readers of one server's port."""

    def __init__(self, port: int, path: str, count: int) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._unread: dict[int, int] = {}
        self._last: dict[int, bytes] = {}
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(request)
            number = connection.fileno()
            self._sockets[number] = connection
            self._unread[number] = 0
            self._last[number] = b""
            self._poll.register(number, select.EPOLLIN)

    def read(self, blocks: int) -> float:
        """Read until each has got ``blocks`` more; return when that was."""
        waiting = 0
        for number in self._unread:
            self._unread[number] += blocks
            waiting += self._unread[number] > 0
        while waiting:
            ready = self._poll.poll(_SILENCE_S)
            assert ready, f"{waiting} readers got nothing for {_SILENCE_S:g} s"
            for number, _ in ready:
                waiting -= self._take(number)
        return time.monotonic()

    def _take(self, number: int) -> bool:
        """Count what is there; return whether the reader has all of its blocks now."""
        size = self._sockets[number].recv_into(self._buffer)
        assert size, "the server ended a stream"
        received = self._last[number] + bytes(self._buffer[:size])
        self._last[number] = received[-1:]
        unread = self._unread[number]
        self._unread[number] = left = unread - received.count(_BLOCK_END)
        return unread > 0 >= left


def main() -> None:
    """Obey until the input ends."""
    raise_open_files()
    groups: dict[int, Readers] = {}
    for line in sys.stdin:
        ((command, arguments),) = json.loads(line).items()
        if command == "open":
            port, path, count = arguments
            groups[port] = Readers(port, path, count)
            answer = groups[port].read(1)
        else:
            port, blocks = arguments
            answer = groups[port].read(blocks)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
