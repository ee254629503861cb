"""Ask a nats-server over its own protocol whether it is ready.

A client library is not used because ``nats.connect`` to a server that does not listen yet costs two
seconds, and this is asked every few milliseconds.
"""

import asyncio
import json
from dataclasses import dataclass

from pydantic import SecretStr

# Short, because what listens there may be no NATS server and wait for us to speak first.
_ANSWER_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class ServerAddress:
    """Where one particular server answers, and to whom."""

    host: str
    port: int
    server_name: str
    user: str
    password: SecretStr


async def is_ready(address: ServerAddress) -> bool:
    """Return whether that very server accepts the credentials and has JetStream.

    The name is compared because another nats-server may own the port. The server starts to
    listen after its streams are recovered, so JetStream answers from then on.
    """
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                return await _greet(reader, writer, address)
            finally:
                writer.close()
    except (OSError, ValueError):
        # Not listening, silent, or not speaking the protocol; TimeoutError is an OSError.
        return False


async def _greet(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: ServerAddress
) -> bool:
    greeting = await reader.readline()
    if not greeting.startswith(b"INFO {"):
        return False
    info = json.loads(greeting.removeprefix(b"INFO "))
    if info.get("server_name") != address.server_name or not info.get("jetstream"):
        return False
    credentials = {"user": address.user, "pass": address.password.get_secret_value()}
    connect = {**credentials, "verbose": False, "lang": "python", "version": "0"}
    writer.write(b"CONNECT " + json.dumps(connect).encode() + b"\r\nPING\r\n")
    while line := await reader.readline():
        if line == b"PONG\r\n":
            return True
        if line.startswith(b"-ERR"):
            return False
    return False
