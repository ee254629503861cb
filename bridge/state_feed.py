"""Every change of every state record, in order, for whoever keeps a projection of them.

The reader keeps its position. Of a record that changed more than once only the newest change is
there, so a reader that starts at 0 gets each record once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.state import TOMBSTONE
from bridge.stream_reader import StoredMessage, StreamReader


@dataclass(frozen=True, slots=True)
class StatePosition:
    """How far the records have come.

    Attributes:
        stream: Which stream it is; another one after the stream was made anew.
        seq: The newest revision that it ever gave out.
    """

    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class StateChange:
    """One record as it is after its newest change.

    Attributes:
        kind: The kind of record.
        key: Its id within its kind.
        value: What it says; ``None`` once it is deleted.
        revision: The place of the change among all changes.
    """

    kind: str
    key: str
    value: bytes | None
    revision: int


class StateFeed:
    """Reads the changes of all state records.

    Args:
        reader: Reads the state stream.
        subject: The subject of all state records.
    """

    def __init__(self, reader: StreamReader, subject: str) -> None:
        self._reader = reader
        self._subject = subject

    async def newest(self) -> StatePosition:
        """Return how far the records have come, as the leader knows it.

        Whoever has read so far has every write that returned before this call.

        Raises:
            UnavailableError: The server fell silent.
            ApiError: The stream is gone.
        """
        stream, seq = await self._reader.identity()
        return StatePosition(stream, seq)

    async def read(self, after: int) -> Sequence[StateChange]:
        """Return the next changes behind a revision, oldest first; none when there is nothing new.

        Raises:
            UnavailableError: The server fell silent.
        """
        page = await self._reader.read(self._subject, after + 1)
        return [_change(message) for message in page.messages]


def _change(message: StoredMessage) -> StateChange:
    kind, key = message.subject.rsplit(".", 2)[1:]
    value = None if message.payload == TOMBSTONE else message.payload
    return StateChange(kind, key, value, message.seq)
