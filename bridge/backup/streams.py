"""All streams of one log as files, taken under load so that they fit together, and made anew.

The order makes them fit. What is taken early may lack what is taken later, never the other way
where that would hurt:

1. The log's snapshot, so that a run which leaves the log meanwhile is still in it.
2. Jobs and timers: what the state has and they lack is derived from it again, what they have and
   the state does not want is dropped by whoever gets it. Secrets and dead letters, too.
3. The state.
4. The log to its end: of every run that the state calls ended it has the terminal event.
5. Checkpoints and items: of every run that the log calls ended they have what it left.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, BinaryIO, Final, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict

from bridge.backup.later import LaterMessages, decode_later, read_later
from bridge.backup.snapshots import CHUNK_BYTES, open_snapshot, put_snapshot
from bridge.connection import Connection
from bridge.errors import TopologyDriftError
from bridge.settings import BridgeSettings
from bridge.stream_info import find_stream
from bridge.stream_reader import StreamReader
from bridge.subjects import Subjects
from bridge.topology import check_server, differences, streams

#: Stores the next bytes of a file.
Put: TypeAlias = Callable[[bytes], Awaitable[None]]
#: What a restored server may have that the one before had not: where, and how safe.
_OF_THE_PLACE: Final = frozenset({"num_replicas", "max_bytes", "max_consumers"})
#: For the server to recover a stream that was restored; it says nothing where it cannot read one.
_RECOVERY_S: Final = 600.0


class TakenStream(BaseModel):
    """One stream of a backup.

    Attributes:
        config: Its configuration.
        state: Its counts and sequences when its snapshot began.
        last_seq: The last sequence that it had given out at the moment that the backup shows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any]
    state: dict[str, Any]
    last_seq: int = 0

    @property
    def name(self) -> str:
        """The stream's name."""
        return str(self.config["name"])


class FilesToWrite(Protocol):
    """Where a backup's files come to be."""

    def create(self, name: str) -> AbstractAsyncContextManager[Put]:
        """Begin a file; it is complete when the context ends."""
        ...


class FilesToRead(Protocol):
    """Where a backup's files are."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file."""
        ...


class StreamBackup:
    """Takes the streams of a log, and makes them anew.

    Args:
        connection: An open connection; for :meth:`restore` one that waits for long.
        settings: Names and limits.
    """

    def __init__(self, connection: Connection, settings: BridgeSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._names = Subjects(settings.log.prefix)
        self._wanted = {str(each["name"]): each for each in streams(settings)}

    async def take(self, files: FilesToWrite) -> list[TakenStream]:
        """Write all streams into files; see this module for what moment they show.

        Raises:
            ApiError: The server refused, for example because another backup is under way.
            UnavailableError: The server fell silent; begin again.
            OSError: The disk refused.
        """
        names = self._names
        last = (names.checkpoints_stream, names.items_stream)
        apart = {names.events_stream, names.state_stream, *last}
        log = await self._snapshot(names.events_stream, files)
        # Whatever streams there will be: what the state does not speak of may come before it.
        first = [name for name in self._wanted if name not in apart]
        taken = [await self._take_one(name, files) for name in (*first, names.state_stream)]
        taken.append(await self._later(log, files))
        return [*taken, *[await self._take_one(name, files) for name in last]]

    async def _take_one(self, name: str, files: FilesToWrite) -> TakenStream:
        return await self._later(await self._snapshot(name, files), files)

    async def _snapshot(self, name: str, files: FilesToWrite) -> TakenStream:
        async with (
            open_snapshot(self._connection, name) as snapshot,
            files.create(snapshot_file(name)) as put,
        ):
            async for chunk in snapshot.chunks:
                await put(chunk)
        return TakenStream(config=dict(snapshot.config), state=dict(snapshot.state))

    async def _later(self, taken: TakenStream, files: FilesToWrite) -> TakenStream:
        log = self._settings.log
        reader = StreamReader(
            self._connection,
            taken.name,
            max_concurrent_reads=log.max_concurrent_reads,
            timeout_s=log.request_timeout_s,
            any_version=True,
        )
        _, until = await reader.identity()
        last_seq = until
        async with files.create(later_file(taken.name)) as put:
            async for seq, encoded in read_later(reader, int(taken.state["last_seq"]), until):
                last_seq = max(last_seq, seq)
                await put(encoded)
        return taken.model_copy(update={"last_seq": last_seq})

    async def existing(self) -> list[str]:
        """Return which of the log's streams are there.

        Raises:
            UnavailableError: The server fell silent.
        """
        return [name for name in self._wanted if await find_stream(self._connection, name)]

    def check(self, taken: TakenStream) -> None:
        """Refuse a stream that this process would not want once it is restored.

        Raises:
            TopologyDriftError: It is another stream than the settings ask for.
        """
        wanted = self._wanted.get(taken.name)
        if wanted is None:
            names = ", ".join(self._wanted)
            raise TopologyDriftError("the backup", "stream", names, taken.name)
        for field, value, found in differences(wanted, taken.config):
            if field not in _OF_THE_PLACE:
                raise TopologyDriftError(f"stream {taken.name}", field, value, found)

    async def restore(self, taken: TakenStream, files: FilesToRead) -> None:
        """Make one stream anew, with its consumers, under the settings of this process.

        Raises:
            ApiError: The server refused it; a part of it may be there.
            UnavailableError: The server fell silent; a part of it may be there.
            OSError: A file cannot be read.
        """
        place = {
            field: value
            for field, value in self._wanted[taken.name].items()
            if field in _OF_THE_PLACE
        }
        config = {**taken.config, **place}
        with files.open(snapshot_file(taken.name)) as file:
            await put_snapshot(self._connection, config, taken.state, _pieces(file))
        names = self._names
        inexact = {names.jobs_stream, names.timers_stream, names.dead_stream, names.items_stream}
        later = LaterMessages(
            self._connection,
            taken.name,
            config["subjects"][0].replace(">", "~.~"),
            is_exact=taken.name not in inexact,
        )
        with files.open(later_file(taken.name)) as file:
            await later.put(decode_later(file), taken.last_seq)

    async def remove(self, name: str) -> None:
        """Remove a stream that a restore has left unfinished, if it is there.

        Raises:
            UnavailableError: The server fell silent; it may still be there.
        """
        if await find_stream(self._connection, name):
            await self._connection.api(f"$JS.API.STREAM.DELETE.{name}")


@asynccontextmanager
async def open_streams(settings: BridgeSettings, *, restores: bool) -> AsyncGenerator[StreamBackup]:
    """Connect to take the streams of a log, or to restore them; nothing is made by connecting.

    Args:
        settings: Names, limits, and where the server is.
        restores: Whether calls may take as long as the server needs to recover a stream.

    Raises:
        UnavailableError: No server answered in time.
        AccessDeniedError: The server refused the credentials.
    """
    if restores:
        log = settings.log.model_copy(update={"request_timeout_s": _RECOVERY_S})
        settings = settings.model_copy(update={"log": log})
    connection = Connection(settings, name="jetrun-backup")
    await connection.open()
    try:
        check_server(connection.server_version)
        yield StreamBackup(connection, settings)
    finally:
        await connection.close()


def snapshot_file(stream: str) -> str:
    """Return the name of the file with a stream's snapshot."""
    return f"streams/{stream}.snapshot"


def later_file(stream: str) -> str:
    """Return the name of the file with what came after it."""
    return f"streams/{stream}.later"


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
