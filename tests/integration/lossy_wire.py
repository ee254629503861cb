"""A TCP proxy between a client and nats-server that loses what a test chooses.

It forwards the protocol message by message. A hook sees each one and says whether it goes on; it
may also cut the connection, or leave the server's end open and hand over later what was held back.
"""

import asyncio
from contextlib import suppress

EVENTS = b"jetrun.events."


class Message:
    """One message of the NATS protocol, in either direction."""

    def __init__(self, raw, verb, words):
        self.raw = raw
        self.verb = verb
        self._words = words

    @property
    def is_event(self):
        """Whether a client publishes an event."""
        return self.verb in (b"PUB", b"HPUB") and self._words[0].startswith(EVENTS)

    @property
    def batch_position(self):
        """Its number in an atomic batch; 0 when it is published singly."""
        _, found, rest = self.raw.partition(b"Nats-Batch-Sequence: ")
        return int(rest.split(b"\r\n", 1)[0]) if found else 0

    @property
    def is_commit(self):
        """Whether it ends an atomic batch."""
        return b"Nats-Batch-Commit: 1" in self.raw

    @property
    def is_ack(self):
        """Whether the server acknowledges an event, or a batch of them."""
        return b'{"stream":"JETRUN_EVENTS"' in self.raw and b'"seq":' in self.raw

    def refusal(self):
        """The code with which the server refused something, or None."""
        _, found, rest = self.raw.partition(b'"err_code":')
        return int(rest.split(b",", 1)[0]) if found else None


async def read_message(reader):
    """Read one whole protocol message."""
    line = await reader.readuntil(b"\r\n")
    verb, *words = line.split()
    verb = verb.upper()
    body = b""
    if verb in (b"PUB", b"HPUB", b"MSG", b"HMSG"):
        body = await reader.readexactly(int(words[-1]) + 2)
    return Message(line + body, verb, words)


async def pass_on(_wire, _message):
    """The hook that loses nothing."""
    return True


class Wire:
    """One connection through the proxy."""

    def __init__(self, proxy, client, server):
        self._proxy = proxy
        self._client_reader, self._client_writer = client
        self._server_reader, self._server_writer = server
        self._held = []

    async def run(self):
        """Forward both ways until either end closes."""
        up = asyncio.create_task(self._pump_up())
        down = asyncio.create_task(self._pump_down())
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
            if self._held:
                await asyncio.wait([down])  # the server's end stays open for what is held back
        finally:
            for task in (up, down):
                task.cancel()
            self.cut()

    async def _pump_up(self):
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                message = await read_message(self._client_reader)
                passes = await self._proxy.on_up(self, message)
                if passes and not self._server_writer.is_closing():
                    self._server_writer.write(message.raw)

    async def _pump_down(self):
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                message = await read_message(self._server_reader)
                passes = await self._proxy.on_down(self, message)
                if passes and not self._client_writer.is_closing():
                    self._client_writer.write(message.raw)

    def cut(self):
        """Close both ends at once."""
        self._client_writer.transport.abort()
        self._server_writer.transport.abort()

    def hold(self, message):
        """Cut the client off, and keep what it sent last for a later :meth:`release`."""
        self._held.append(message)
        self._client_writer.transport.abort()

    def release(self):
        """Hand over to the server what was held back."""
        for message in self._held:
            self._server_writer.write(message.raw)


class LossyProxy:
    """Listens on a port of its own; set ``on_up`` and ``on_down`` to lose something."""

    def __init__(self, target_port):
        self._target_port = target_port
        self._server = None
        self._running = set()
        self.accepts = True
        self.on_up = pass_on
        self.on_down = pass_on

    @property
    def url(self):
        """The address for clients."""
        port = self._server.sockets[0].getsockname()[1]
        return f"nats://127.0.0.1:{port}"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 24)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _accept(self, client_reader, client_writer):
        if not self.accepts:
            client_writer.transport.abort()
            return
        self._running.add(asyncio.current_task())
        server = await asyncio.open_connection("127.0.0.1", self._target_port, limit=1 << 24)
        with suppress(asyncio.CancelledError):  # the proxy ends; asyncio would report it
            await Wire(self, (client_reader, client_writer), server).run()
