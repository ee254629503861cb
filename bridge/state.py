"""Small records that processes agree on, changed by compare-and-set.

A record is the newest message of its subject. A deleted record leaves a tombstone, so that a late
write cannot bring it back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.compare_and_set import compare_and_set
from bridge.connection import Connection
from bridge.ids import check_id
from bridge.stream_reader import StoredMessage, StreamReader
from bridge.subjects import Subjects

#: The kind of record that says which thread owns a run; written before the run's birth.
REF: Final = "ref"
TOMBSTONE: Final = b""
ABSENT: Final = 0


@dataclass(frozen=True, slots=True)
class StateRecord:
    """One record as it was read.

    Attributes:
        key: Its id within its kind.
        value: What was written.
        revision: What :meth:`StateRecords.update` must name to replace it.
    """

    key: str
    value: bytes
    revision: int


class StateRecords:
    """Reads and changes state records.

    Args:
        connection: An open connection.
        reader: Reads the state stream.
        subjects: Spells the subjects.
    """

    def __init__(self, connection: Connection, reader: StreamReader, subjects: Subjects) -> None:
        self._connection = connection
        self._reader = reader
        self._subjects = subjects

    async def create(self, kind: str, key: str, value: bytes) -> int:
        """Write a record that must not exist, nor have existed.

        Returns:
            Its revision.

        Raises:
            InvalidIdError: ``key`` is not one subject token.
            StateConflictError: It exists, or was deleted; nothing was stored.
            EventTooLargeError: Above the server's limit; nothing was stored.
            UnavailableError: The server fell silent; ``stored`` says what is known.
        """
        return await self._write(kind, key, value, ABSENT)

    async def update(self, kind: str, key: str, value: bytes, *, revision: int) -> int:
        """Replace a record that must still be as it was read.

        Args:
            kind: The kind of record.
            key: Its id.
            value: What is written; not empty.
            revision: The revision that was read.

        Returns:
            The new revision.

        Raises:
            StateConflictError: It changed meanwhile; read it again and decide again.
            EventTooLargeError: Above the server's limit; nothing was stored.
            UnavailableError: The server fell silent; ``stored`` says what is known.
        """
        return await self._write(kind, key, value, revision)

    async def delete(self, kind: str, key: str, *, revision: int) -> None:
        """Remove a record for good; a tombstone keeps late writes out.

        Raises:
            StateConflictError: It changed meanwhile; read it again and decide again.
            UnavailableError: The server fell silent; ``stored`` says what is known.
        """
        await self._write(kind, key, TOMBSTONE, revision)

    async def find(self, kind: str, key: str) -> StateRecord | None:
        """Return a record as the leader knows it; ``None`` when it is absent or deleted.

        Raises:
            InvalidIdError: ``key`` is not one subject token.
            UnavailableError: The server fell silent.
        """
        message = await self._reader.find_last(self._subject(kind, key))
        return None if message is None else _record(message)

    async def is_deleted(self, kind: str, key: str) -> bool:
        """Return whether a record was deleted; its tombstone stays."""
        message = await self._reader.find_last(self._subject(kind, key))
        return message is not None and message.payload == TOMBSTONE

    async def find_many(self, kind: str, keys: Sequence[str]) -> list[StateRecord]:
        """Return many records at once, in the order of ``keys``, without the absent ones.

        On a cluster this may be a moment behind; what is decided on must be read by :meth:`find`.
        """
        subjects = [self._subject(kind, key) for key in keys]
        found = {message.subject: message for message in await self._reader.read_last(subjects)}
        records = (_record(found[subject]) for subject in subjects if subject in found)
        return [record for record in records if record is not None]

    async def changed(self, kind: str, *, after: int) -> tuple[list[StateRecord], int]:
        """Read a page of what changed, oldest change first; of each record the newest change only.

        On a cluster this may be a moment behind.

        Args:
            kind: The kind of record.
            after: The revision that counts as known; 0 reads from the start.

        Returns:
            The records, without deleted ones, and the revision to go on after; the same as
            ``after`` when there is nothing new.

        Raises:
            UnavailableError: The server fell silent.
        """
        page = await self._reader.read(self._subjects.states(kind), after + 1)
        records = (_record(message) for message in page.messages)
        reached = page.messages[-1].seq if page.messages else after
        return [record for record in records if record is not None], reached

    async def keys(self, kind: str) -> list[str]:
        """Return the keys of all records of a kind, deleted ones too; linear in their count."""
        subjects = await self._reader.subjects(self._subjects.states(kind))
        return [subject.rsplit(".", 1)[1] for subject in subjects]

    def _subject(self, kind: str, key: str) -> str:
        return self._subjects.state(check_id("kind", kind), check_id(f"{kind}_id", key))

    async def _write(self, kind: str, key: str, value: bytes, revision: int) -> int:
        subject, what = self._subject(kind, key), f"{kind} {key}"
        return await compare_and_set(
            self._connection, self._reader, subject, value, revision=revision, what=what
        )


def _record(message: StoredMessage) -> StateRecord | None:
    if message.payload == TOMBSTONE:
        return None
    return StateRecord(message.subject.rsplit(".", 1)[1], message.payload, message.seq)
