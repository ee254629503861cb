"""Many readers of event streams in one process: raw sockets, nothing but counting.

Commands come as lines of JSON on standard input, and each is answered by one line:
``{"open": [port, path, count]}`` connects, ``{"close": [port]}`` disconnects, ``{"read": [port,
blocks]}`` reads until each reader of that port has got so many blocks more, and answers when that
was on the system's monotonic clock; ``{"clock": [port, blocks, shares]}`` does the same and answers
the seconds that these shares of the blocks were on their way at most.
"""

import json
import re
import select
import socket
import sys
import time
from typing import Any, Final

from bench.machine import raise_open_files
from bench.rounds import percentile
from bench.setting import STAMP_DIGITS

_BUFFER_BYTES: Final = 256 << 10
_SILENCE_S: Final = 60.0
_BLOCK_END: Final = b"\n\n"
_STAMP: Final = re.compile(rb'data: "([0-9]{%d})' % STAMP_DIGITS)


class Readers:
    """The readers of one server's port."""

    def __init__(self, port: int, path: str, count: int) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._unread: dict[int, int] = {}
        self._rest: dict[int, bytes] = {}
        self._transits: list[float] | None = None
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(request)
            number = connection.fileno()
            self._sockets[number] = connection
            self._unread[number] = 0
            self._rest[number] = b""
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

    def clock(self, blocks: int, shares: list[float]) -> list[float]:
        """Read as :meth:`read` does; return what these shares of the transits do not exceed."""
        transits: list[float] = []
        self._transits = transits
        self.read(blocks)
        self._transits = None
        return [percentile(transits, share) for share in shares]

    def close(self) -> None:
        """Disconnect all."""
        for connection in self._sockets.values():
            connection.close()
        self._poll.close()

    def _take(self, number: int) -> bool:
        """Count what is there; return whether the reader has all of its blocks now."""
        size = self._sockets[number].recv_into(self._buffer)
        assert size, "the server ended a stream"
        received = self._rest[number] + bytes(self._buffer[:size])
        end = received.rfind(_BLOCK_END) + 1  # 0: no block has ended
        self._rest[number] = received[end and end + 1 :]
        if not end:
            return False
        if self._transits is not None:
            now = time.monotonic_ns()
            sent = _STAMP.findall(received, 0, end)
            self._transits += [(now - int(each)) / 1e9 for each in sent]
        unread = self._unread[number]
        self._unread[number] = left = unread - received.count(_BLOCK_END, 0, end + 1)
        return unread > 0 >= left


def main() -> None:
    """Obey until the input ends."""
    raise_open_files()
    groups: dict[int, Readers] = {}
    for line in sys.stdin:
        ((command, (port, *arguments)),) = json.loads(line).items()
        answer: Any = None
        if command == "open":
            groups[port] = Readers(port, *arguments)
            answer = groups[port].read(1)
        elif command == "close":
            groups.pop(port).close()
        elif command == "clock":
            answer = groups[port].clock(*arguments)
        else:
            answer = groups[port].read(*arguments)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
