"""The changes of the state records as the state stream holds them."""

from collections.abc import Sequence

from bridge.coordination import StateChange, StatePosition
from bridge.state import TOMBSTONE
from bridge.stream_reader import StoredMessage, StreamReader


class JetStreamStateFeed:
    """Reads the changes of all state records; see :class:`bridge.coordination.StateFeed`.

    Args:
        reader: Reads the state stream.
        subject: The subject of all state records.
    """

    def __init__(self, reader: StreamReader, subject: str) -> None:
        self._reader = reader
        self._subject = subject

    async def newest(self) -> StatePosition:
        """Return how far the records have come; see :meth:`StateFeed.newest`."""
        return StatePosition(*await self._reader.identity())

    async def read(self, after: int) -> Sequence[StateChange]:
        """Return the next changes; see :meth:`StateFeed.read`."""
        page = await self._reader.read(self._subject, after + 1)
        return [self._change(message) for message in page.messages]

    def _change(self, message: StoredMessage) -> StateChange:
        # The kind stands behind the shard; what follows is the key, of one token or of several.
        _, kind, key = message.subject[len(self._subject) - 1 :].split(".", 2)
        value = None if message.payload == TOMBSTONE else message.payload
        return StateChange(kind, key, value, message.seq)
