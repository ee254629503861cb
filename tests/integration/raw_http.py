"""Connections whose every byte a test decides: what no client library would send."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit


class RawConnection:
    """One connection to a gateway."""

    def __init__(self, reader, writer):
        self._reader = reader
        self.writer = writer

    def abort(self):
        self.writer.transport.abort()

    def send(self, data):
        self.writer.write(data)

    async def drip(self, data, every_s=0.02):
        """Send one byte after the other until the gateway has had enough."""
        for place in range(len(data)):
            if self.writer.is_closing() or self._reader.at_eof():
                return
            self.send(data[place : place + 1])
            await asyncio.sleep(every_s)

    async def answer(self):
        """Return status, headers and body of the next answer."""
        async with asyncio.timeout(20):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (f.partition(": ") for f in fields)
            }
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(line.split()[1]), headers, body

    async def problem(self):
        """Return status and code of the next answer, which is a problem document."""
        status, headers, body = await self.answer()
        assert headers["content-type"] == "application/problem+json"
        problem = json.loads(body)
        assert problem["status"] == status
        return status, problem["code"]

    async def is_closed(self):
        """Wait for the end of the connection; what comes before it is thrown away."""
        async with asyncio.timeout(20):
            try:
                while await self._reader.read(1 << 16):
                    pass
            except ConnectionError:
                pass
        return True


async def connected(url, *, address=None, receive_buffer=None):
    """Return reader and writer of a connection, which comes from ``address``."""
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if address is not None:
        sock.bind((address, 0))
    sock.setblocking(False)  # noqa: FBT003 - takes no keyword
    place = urlsplit(url)
    await asyncio.get_running_loop().sock_connect(sock, (place.hostname, place.port))
    return await asyncio.open_connection(sock=sock, limit=1 << 16)


@asynccontextmanager
async def raw_connections():
    """Open connections: ``await connect(url)``, as :func:`connected`; they end with the context."""
    async with AsyncExitStack() as stack:

        async def connect(url, **options):
            connection = RawConnection(*await connected(url, **options))
            stack.callback(connection.abort)
            return connection

        yield connect


def request(method, path, body=b"", **headers):
    """Encode a request; a header's underscores stand for dashes."""
    if body:
        headers = {"Content_Length": len(body), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""])
    return head.encode() + body
