"""Messages on their way to the server: all of one turn of the event loop go out in one write.

nats-py 2.16 checks each header of each message with a regular expression, and hands each message
to a task that writes it. Here the headers are known to be sound and a callback writes: a publish
that waits for its acknowledgement takes a fifth less time, and many at once take half.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from nats.aio.client import Client

from bridge.errors import InvalidEventError

_STATUS_LINE: Final = "NATS/1.0"
_LINE_END: Final = "\r\n"


def encode_message(
    subject: str, reply: str, headers: Mapping[str, str] | None, payload: bytes
) -> tuple[int, bytes]:
    """Encode one message as the server takes it.

    Args:
        subject: Where it goes; made of checked ids.
        reply: Where the answer goes; empty when none is wanted.
        headers: ASCII names and printable values.
        payload: The content.

    Returns:
        The size that the server holds against its limit, and the encoded message.

    Raises:
        InvalidEventError: A header holds a line break, which would begin another header.
    """
    if headers is None:
        command = f"PUB {subject} {reply} {len(payload)}\r\n"
        return len(payload), b"".join((command.encode(), payload, b"\r\n"))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    block = _LINE_END.join((_STATUS_LINE, *lines, _LINE_END)).encode()
    if block.count(b"\n") != len(lines) + 2:
        raise InvalidEventError("a header must not hold a line break")
    size = len(block) + len(payload)
    command = f"HPUB {subject} {reply} {len(block)} {size}\r\n"
    return size, b"".join((command.encode(), block, payload, b"\r\n"))


class Outbound:
    """What waits for the end of this turn of the event loop.

    Args:
        client: Its transport is written to; this class alone reaches into it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[bytes] = []

    def put(self, message: bytes) -> None:
        """Send an encoded message, behind everything that was put before."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(message)

    def flush(self) -> None:
        """Write what waits; it is dropped when the connection broke meanwhile."""
        waiting, self._waiting = self._waiting, []
        client = self._client
        transport = client._transport  # noqa: SLF001 - nats-py has no way to write encoded messages
        if not waiting or transport is None or not client.is_connected:
            return
        # A subscription that nats-py holds back must reach the server before what relies on it.
        pending, client._pending = client._pending, []  # noqa: SLF001 - the same
        client._pending_data_size = 0  # noqa: SLF001 - the same
        # On a transport that has just closed; whoever reads from it tells of that.
        with suppress(OSError, RuntimeError):
            transport.writelines([*pending, *waiting])

    def abort(self) -> None:
        """Break the connection without waiting for a peer that takes nothing."""
        transport = self._client._transport  # noqa: SLF001 - nats-py only closes in order
        writer = getattr(transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
