"""A stream in the server's own form: taken while others write it, and made anew from it.

The server reads a stream block by block. What is stored or removed while it reads may be in the
snapshot or not; it only ever lacks what came after the sequence that it names. Who needs all of one
moment reads what came later behind it, see :mod:`bridge.backup.later`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
from nats.aio.msg import Msg

from bridge.connection import Connection
from bridge.errors import ApiError, UnavailableError
from bridge.replies import SilenceError

CHUNK_BYTES: Final = 256 << 10
#: What the server sends ahead of our acknowledgements.
_WINDOW_BYTES: Final = 4 << 20
#: The server gives up after as long without an acknowledgement.
_CHUNK_WAIT_S: Final = 10.0
_COMPLETE: Final = "204"


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """A snapshot under way.

    Attributes:
        config: The stream's configuration.
        state: Its counts and sequences when the snapshot began; all up to then is in it.
        chunks: The snapshot's bytes, once.
    """

    config: Mapping[str, Any]
    state: Mapping[str, Any]
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def open_snapshot(connection: Connection, stream: str) -> AsyncGenerator[StreamSnapshot]:
    """Begin a snapshot of a stream with its consumers; leaving early ends it.

    Raises:
        ApiError: The server refused: there is no such stream, or another snapshot is under way.
        UnavailableError: The server fell silent; begin again.
    """
    # A subscription of its own: the server looks for interest in this very subject, and waits.
    inbox = connection.new_inbox()
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await connection.listen(inbox, arrived.put_nowait)
    try:
        answer = await _ask(
            connection,
            f"$JS.API.STREAM.SNAPSHOT.{stream}",
            {"deliver_subject": inbox, "chunk_size": CHUNK_BYTES, "window_size": _WINDOW_BYTES},
        )
        chunks = _chunks(connection, stream, arrived)
        yield StreamSnapshot(answer["config"], answer["state"], chunks)
    finally:
        await connection.unsubscribe(subscription)


async def _chunks(
    connection: Connection, stream: str, arrived: asyncio.Queue[Msg]
) -> AsyncGenerator[bytes]:
    while True:
        try:
            async with asyncio.timeout(_CHUNK_WAIT_S):
                message = await arrived.get()
            if not message.data:
                break
            yield message.data
            if message.reply:
                connection.publish(message.reply, b"")
        except (TimeoutError, SilenceError) as error:
            raise UnavailableError(f"the snapshot of {stream} broke off") from error
    status = (message.headers or {}).get("Status", _COMPLETE)
    if status != _COMPLETE:
        raise UnavailableError(f"the snapshot of {stream} broke off ({status})")


async def put_snapshot(
    connection: Connection,
    config: Mapping[str, Any],
    state: Mapping[str, Any],
    chunks: AsyncIterator[bytes],
) -> dict[str, Any]:
    """Make a stream from a snapshot; it is there when this returns, and not before.

    Args:
        connection: An open connection; its time-out must cover the recovery of the whole stream.
        config: What the stream shall be; its name is that of the stream that was taken.
        state: As :class:`StreamSnapshot` said.
        chunks: The snapshot's bytes.

    Returns:
        What the server says about the stream.

    Raises:
        ApiError: The server refused it; there is no such stream.
        UnavailableError: The server fell silent; the stream may be there.
    """
    name = config["name"]
    body = {"config": config, "state": state}
    target = (await _ask(connection, f"$JS.API.STREAM.RESTORE.{name}", body))["deliver_subject"]
    async for chunk in chunks:
        await _send(connection, target, chunk, name)
    return await _send(connection, target, b"", name)


async def _send(connection: Connection, target: str, chunk: bytes, name: str) -> dict[str, Any]:
    try:
        data = (await connection.request(target, chunk)).data
    except SilenceError as error:
        raise UnavailableError(f"restoring {name}") from error
    return _answer(orjson.loads(data)) if data else {}


async def _ask(connection: Connection, subject: str, body: Mapping[str, Any]) -> dict[str, Any]:
    # Asked once: to ask again would begin a second one beside the first.
    try:
        message = await connection.request(subject, orjson.dumps(body))
    except SilenceError as error:
        raise UnavailableError(subject) from error
    return _answer(orjson.loads(message.data))


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    error = answer.get("error")
    if error is not None:
        raise ApiError(error.get("err_code", 0), error.get("description", ""))
    return answer
