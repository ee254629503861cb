r"""What came to a stream after its snapshot: read to a moment, kept as bytes, stored again.

One message is a line of JSON, then its payload and a ``\n``.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, NamedTuple

import orjson

from bridge import wire
from bridge.connection import Connection
from bridge.errors import ApiError, Stored, UnavailableError
from bridge.publication import publish_once
from bridge.replies import SilenceError
from bridge.stream_reader import StoredMessage, StreamReader

#: The server made these, or they were conditions that held then.
_NOT_KEPT: Final = frozenset(
    {
        "Nats-Stream",
        "Nats-Subject",
        "Nats-Num-Pending",
        "Nats-Last-Sequence",
        "Nats-UpTo-Sequence",
        wire.STREAM_SEQUENCE,
        wire.STORED_AT,
        wire.EXPECTED_SUBJECT_SEQUENCE,
        wire.EXPECTED_SUBJECT,
        wire.EXPECTED_MESSAGE_ID,
        wire.BATCH_ID,
        wire.BATCH_SEQUENCE,
        wire.BATCH_COMMIT,
    }
)
_EXPECTED_SEQUENCE: Final = "Nats-Expected-Last-Sequence"
#: A work queue has the message already.
_HAS_MESSAGE: Final = 10077
#: Messages on their way at one time.
_AT_ONCE: Final = 512


class LaterMessage(NamedTuple):
    """One message that came after a snapshot began."""

    seq: int
    subject: str
    headers: Mapping[str, str]
    payload: bytes


async def read_later(
    reader: StreamReader, after: int, until: int
) -> AsyncGenerator[tuple[int, bytes]]:
    """Yield all messages behind a sequence, with their own, encoded, as they are at the end.

    Under load it ends when it has come behind ``until`` and to what was the end at that moment.
    A record that is replaced meanwhile comes as it was, as it is, or both: never not at all.

    Args:
        reader: Of the stream; it must hand out any version.
        after: The sequence that the snapshot certainly has.
        until: The stream's last sequence, as the leader knew it.

    Raises:
        UnavailableError: The server fell silent.
    """
    while True:
        page = await reader.read(">", after + 1)
        for message in page.messages:
            yield message.seq, _encode(message)
        if not page.messages:  # the leader has confirmed it
            return
        after = page.messages[-1].seq
        if page.complete and after >= until:
            return


def _encode(message: StoredMessage) -> bytes:
    kept = {name: value for name, value in message.headers.items() if name not in _NOT_KEPT}
    head = {
        "seq": message.seq,
        "subject": message.subject,
        "headers": kept,
        "size": len(message.payload),
    }
    return b"%b\n%b\n" % (orjson.dumps(head), message.payload)


async def decode_later(file: BinaryIO) -> AsyncGenerator[LaterMessage]:
    """Yield the messages that :func:`read_later` encoded into a file, oldest first."""
    while line := await asyncio.to_thread(file.readline):
        head = orjson.loads(line)
        payload = await asyncio.to_thread(file.read, head["size"])
        await asyncio.to_thread(file.read, 1)
        yield LaterMessage(head["seq"], head["subject"], head["headers"], payload)


class LaterMessages:
    """Stores messages again in a stream that was made from a snapshot.

    Nobody else may write the stream meanwhile.

    Args:
        connection: An open connection.
        stream: The stream's name.
        placeholder: A subject of the stream that nothing else uses.
        is_exact: Whether others refer to its sequences, so that each message must get its own
            again. Where some are free by now, placeholders take them, and are removed.
    """

    def __init__(
        self, connection: Connection, stream: str, placeholder: str, *, is_exact: bool
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._placeholder = placeholder
        self._is_exact = is_exact

    async def put(self, messages: AsyncIterator[LaterMessage], last_seq: int) -> None:
        """Store what the snapshot does not have, and bring the stream to ``last_seq``.

        Raises:
            ApiError: The server refused a message; some of the others are stored.
            UnavailableError: The server fell silent; some are stored.
        """
        in_snapshot = reached = await self._last_seq()
        waiting: list[LaterMessage] = []
        async for message in messages:
            if message.seq <= in_snapshot:
                if wire.ROLLUP in message.headers:
                    # What it took the place of may have been read into the snapshot before.
                    await self._purge(message.subject, message.seq)
                continue
            waiting = await self._fill(waiting, reached, message.seq - 1)
            waiting.append(message)
            reached = message.seq
        waiting = await self._fill(waiting, reached, last_seq)
        await self._store(waiting)
        await self._purge(self._placeholder)

    async def _last_seq(self) -> int:
        info = await self._connection.api(f"$JS.API.STREAM.INFO.{self._stream}")
        return int(info["state"]["last_seq"])

    async def _fill(
        self, waiting: list[LaterMessage], after: int, until: int
    ) -> list[LaterMessage]:
        """Put placeholders behind what waits; return what is left to store."""
        for seq in range(after + 1, until + 1) if self._is_exact else ():
            waiting.append(LaterMessage(seq, self._placeholder, {}, b""))
            if len(waiting) >= _AT_ONCE:
                await self._store(waiting)
                waiting = []
        if len(waiting) >= _AT_ONCE:
            await self._store(waiting)
            return []
        return waiting

    async def _store(self, messages: Sequence[LaterMessage]) -> None:
        # The server takes the messages of one connection in the order in which they were sent.
        await asyncio.gather(*(self._store_one(each) for each in messages))

    async def _store_one(self, message: LaterMessage) -> None:
        headers = dict(message.headers)
        if self._is_exact:
            headers[_EXPECTED_SEQUENCE] = str(message.seq - 1)
        lines = wire.encode_headers(headers)
        try:
            await publish_once(self._connection, message.subject, message.payload, lines)
        except SilenceError as error:
            raise UnavailableError(f"restoring {self._stream}", Stored.UNKNOWN) from error
        except ApiError as error:
            if self._is_exact or error.err_code != _HAS_MESSAGE:
                raise

    async def _purge(self, subject: str, below_seq: int = 0) -> None:
        body: dict[str, Any] = {"filter": subject}
        if below_seq:
            body["seq"] = below_seq
        await self._connection.api(f"$JS.API.STREAM.PURGE.{self._stream}", body)
