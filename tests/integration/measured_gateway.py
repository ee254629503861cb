"""A gateway that is a process of its own, and whose memory and connections are measured."""

import asyncio
import re
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from api.environment import child_environment


class MeasuredGateway:
    """A gateway under measurement."""

    def __init__(self, process):
        self._process = process
        self._writers = []
        self.port = None
        self.url = None

    async def ready(self):
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
        self.url = re.search(rb"http://[0-9.:]+", line)[0].decode()
        self.port = int(re.search(rb"http://127.0.0.1:(\d+)", line)[1])

    async def stop(self):
        for writer in self._writers:
            writer.transport.abort()
        self._process.terminate()
        async with asyncio.timeout(20):
            await self._process.wait()

    @property
    def resident_bytes(self):
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def holds(self, writer):
        """Whether its end of a client's connection is open."""
        client_port = writer.get_extra_info("sockname")[1]
        local, remote, established = f":{self.port:04X}", f":{client_port:04X}", "01"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        return any(
            row[1].endswith(local) and row[2].endswith(remote) and row[3] == established
            for row in rows
        )

    async def open(self, path, *, last_event_id="", receive_buffer=None):
        """Ask for a stream; return reader and writer behind the head of the answer."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)  # noqa: FBT003 - takes no keyword
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 16)
        self._writers.append(writer)
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last_event_id}\r\n\r\n"
        writer.write(head.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        return reader, writer


@asynccontextmanager
async def running_gateway_process(settings):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "api.gateway"),
        env=child_environment(settings),
        stdout=asyncio.subprocess.PIPE,
    )
    gateway = MeasuredGateway(process)
    try:
        await gateway.ready()
        yield gateway
    finally:
        await gateway.stop()
