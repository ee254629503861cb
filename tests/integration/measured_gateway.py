"""A gateway that is a process of its own, and whose memory and connections are measured."""

import re
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from raw_http import RawConnection, connected, request
from roles import running_role

from api.settings import Role


class MeasuredGateway:
    """A gateway under measurement."""

    def __init__(self, role, stack):
        self._pid = role.process.pid
        self._stack = stack
        self.url = role.url

    @property
    def resident_bytes(self):
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def holds(self, writer):
        """Whether its end of a client's connection is open."""
        port, client_port = urlsplit(self.url).port, writer.get_extra_info("sockname")[1]
        local, remote, established = f":{port:04X}", f":{client_port:04X}", "01"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        return any(
            row[1].endswith(local) and row[2].endswith(remote) and row[3] == established
            for row in rows
        )

    async def open(self, path, *, last_event_id="", receive_buffer=None):
        """Ask for a stream; return reader and writer behind the head of the answer."""
        reader, writer = await connected(self.url, receive_buffer=receive_buffer)
        # Holds the writer, too, which closes its connection once nobody does.
        self._stack.callback(RawConnection(reader, writer).abort)
        writer.write(request("GET", path, Last_Event_ID=last_event_id))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        return reader, writer


@asynccontextmanager
async def running_gateway_process(settings):
    async with running_role(Role.GATEWAY, settings) as role, AsyncExitStack() as stack:
        yield MeasuredGateway(role, stack)
