"""A TCP proxy before a gateway that cuts connections the way networks and load balancers do."""

import asyncio
import socket
import struct
from contextlib import suppress
from urllib.parse import urlsplit

# Closing a socket that lingers for 0 seconds sends a reset instead of an orderly end.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def close_with_reset(writer):
    """End a connection by a reset."""
    plain = writer.transport.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()


class Wire:
    """One connection through the proxy."""

    def __init__(self, client, gateway):
        self._client = client
        self._gateway = gateway
        self.sent_bytes = 0

    async def run(self, on_answer):
        """Forward both ways until either end closes."""
        (client_reader, client_writer), (gateway_reader, gateway_writer) = (
            self._client,
            self._gateway,
        )
        ways = (
            asyncio.create_task(self._pump(client_reader, gateway_writer, None)),
            asyncio.create_task(self._pump(gateway_reader, client_writer, on_answer)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            # What is on its way to the client still goes.
            client_writer.close()
            gateway_writer.transport.abort()

    async def _pump(self, reader, writer, on_answer):
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
                if on_answer is not None:
                    self.sent_bytes += len(data)
                    on_answer(self)

    def abort(self):
        """Let go of both ends."""
        for _, writer in (self._client, self._gateway):
            writer.transport.abort()

    def cut(self, *, reset):
        """End the client's connection: by a reset, or by an end in the middle of the answer."""
        _, writer = self._client
        if reset:
            close_with_reset(writer)
        else:
            writer.close()


class CuttingProxy:
    """Listens on a port of its own; ``target`` may change; ``on_answer`` sees each answer."""

    def __init__(self, target):
        self.target = target
        self.on_answer = lambda _wire: None
        self.connections = 0
        self._server = None
        self._wires = {}

    @property
    def url(self):
        """The address for clients."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self, *, reset):
        """Cut all connections that are open."""
        for wire in self._wires.values():
            wire.cut(reset=reset)

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task, wire in self._wires.items():
            task.cancel()
            wire.abort()
        await asyncio.gather(*self._wires, return_exceptions=True)

    async def _accept(self, *client):
        self.connections += 1
        target = urlsplit(self.target)
        try:
            gateway = await asyncio.open_connection(target.hostname, target.port)
        except OSError:
            client[1].transport.abort()
            return
        wire = Wire(client, gateway)
        task = asyncio.current_task()
        self._wires[task] = wire
        task.add_done_callback(self._wires.pop)
        with suppress(asyncio.CancelledError):  # the proxy ends; asyncio would report it
            await wire.run(self.on_answer)
