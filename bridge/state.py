"""Small records that processes agree on, changed by compare-and-set.

A record is the newest message of its subject. A deleted record leaves a tombstone, so that a late
write cannot bring it back.
"""

from collections.abc import Callable, Sequence
from typing import Final

from bridge.compare_and_set import compare_and_set
from bridge.connection import Connection
from bridge.coordination import StateRecord
from bridge.ids import check_id
from bridge.stream_reader import StoredMessage, StreamReader

#: The kind of record that says which thread owns a run; written before the run's birth.
REF: Final = "ref"
TOMBSTONE: Final = b""
ABSENT: Final = 0


class JetStreamStates:
    """State records in a stream; see :class:`bridge.coordination.StateRecords`.

    Args:
        connection: An open connection.
        reader: Reads the stream.
        place: Spells the subject of a record, given its kind and its key.
        places: Spells the subjects of all records of a kind.
    """

    def __init__(
        self,
        connection: Connection,
        reader: StreamReader,
        place: Callable[[str, str], str],
        places: Callable[[str], str],
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._place = place
        self._places = places

    async def create(self, kind: str, key: str, value: bytes) -> int:
        """Write a new record; see :meth:`StateRecords.create`."""
        return await self._write(kind, key, value, ABSENT)

    async def update(self, kind: str, key: str, value: bytes, *, revision: int) -> int:
        """Replace a record; see :meth:`StateRecords.update`."""
        return await self._write(kind, key, value, revision)

    async def delete(self, kind: str, key: str, *, revision: int) -> None:
        """Remove a record for good; see :meth:`StateRecords.delete`."""
        await self._write(kind, key, TOMBSTONE, revision)

    async def find(self, kind: str, key: str) -> StateRecord | None:
        """Return a record or ``None``; see :meth:`StateRecords.find`."""
        message = await self._reader.find_last(self._subject(kind, key))
        return None if message is None else _record(message)

    async def is_deleted(self, kind: str, key: str) -> bool:
        """Return whether a record was deleted; its tombstone stays."""
        message = await self._reader.find_last(self._subject(kind, key))
        return message is not None and message.payload == TOMBSTONE

    async def find_many(self, kind: str, keys: Sequence[str]) -> list[StateRecord]:
        """Return many records; see :meth:`StateRecords.find_many`."""
        subjects = [self._subject(kind, key) for key in keys]
        found = {message.subject: message for message in await self._reader.read_last(subjects)}
        records = (_record(found[subject]) for subject in subjects if subject in found)
        return [record for record in records if record is not None]

    async def changed(self, kind: str, *, after: int) -> tuple[list[StateRecord], int]:
        """Read a page of what changed; see :meth:`StateRecords.changed`."""
        page = await self._reader.read(self._places(kind), after + 1)
        records = (_record(message) for message in page.messages)
        reached = page.messages[-1].seq if page.messages else after
        return [record for record in records if record is not None], reached

    async def keys(self, kind: str) -> list[str]:
        """Return all keys of a kind; see :meth:`StateRecords.keys`."""
        subjects = await self._reader.subjects(self._places(kind))
        return [subject.rsplit(".", 1)[1] for subject in subjects]

    def _subject(self, kind: str, key: str) -> str:
        return self._place(check_id("kind", kind), check_id(f"{kind}_id", key))

    async def _write(self, kind: str, key: str, value: bytes, revision: int) -> int:
        subject, what = self._subject(kind, key), f"{kind} {key}"
        return await compare_and_set(
            self._connection, self._reader, subject, value, revision=revision, what=what
        )


def _record(message: StoredMessage) -> StateRecord | None:
    if message.payload == TOMBSTONE:
        return None
    return StateRecord(message.subject.rsplit(".", 1)[1], message.payload, message.seq)
