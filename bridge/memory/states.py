"""State records in memory: compare-and-set, tombstones, and changes in order; see ``StateRecords``.

Writing and finding are O(1), and a page of changes costs as much as has changed.
"""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from bridge.coordination import StateChange, StatePosition, StateRecord
from bridge.errors import EventTooLargeError, StateConflictError
from bridge.ids import check_id

_ABSENT: Final = 0
_TOMBSTONE: Final = b""


class MemoryStates:
    """The records of one process.

    Args:
        max_record_bytes: Of one record.
        max_tombstones: Deleted records that are remembered; beyond that the oldest are forgotten,
            and may come back.
    """

    def __init__(self, *, max_record_bytes: int, max_tombstones: int) -> None:
        self._max_record_bytes = max_record_bytes
        self._max_tombstones = max_tombstones
        self._revision = 0
        # By kind and key, the one that changed last at the end.
        self._kinds: dict[str, dict[str, StateRecord]] = {}
        self._tombstones: dict[tuple[str, str], None] = {}
        self._name = uuid4().hex
        self._deletions = 0

    async def create(self, kind: str, key: str, value: bytes) -> int:
        """Write a new record; see :meth:`StateRecords.create`."""
        return await self._write(kind, key, value, _ABSENT)

    async def update(self, kind: str, key: str, value: bytes, *, revision: int) -> int:
        """Replace a record; see :meth:`StateRecords.update`."""
        return await self._write(kind, key, value, revision)

    async def delete(self, kind: str, key: str, *, revision: int) -> None:
        """Remove a record for good; see :meth:`StateRecords.delete`."""
        await self._write(kind, key, _TOMBSTONE, revision)
        self._tombstones[kind, key] = None
        self._deletions += 1
        if len(self._tombstones) > self._max_tombstones:
            oldest_kind, oldest_key = oldest = next(iter(self._tombstones))
            del self._tombstones[oldest]
            del self._kinds[oldest_kind][oldest_key]

    async def find(self, kind: str, key: str) -> StateRecord | None:
        """Return a record or ``None``; see :meth:`StateRecords.find`."""
        record = await self._read(kind, key)
        return record if record is not None and record.value != _TOMBSTONE else None

    async def is_deleted(self, kind: str, key: str) -> bool:
        """Return whether a record was deleted."""
        record = await self._read(kind, key)
        return record is not None and record.value == _TOMBSTONE

    async def find_many(self, kind: str, keys: Sequence[str]) -> list[StateRecord]:
        """Return many records; see :meth:`StateRecords.find_many`."""
        found = [await self.find(kind, key) for key in keys]
        return [record for record in found if record is not None]

    async def changed(self, kind: str, *, after: int) -> tuple[list[StateRecord], int]:
        """Return all that changed; see :meth:`StateRecords.changed`."""
        await asyncio.sleep(0)
        found: list[StateRecord] = []
        for record in reversed(self._of_kind(kind).values()):
            if record.revision <= after:
                break
            found.append(record)
        reached = found[0].revision if found else after
        return [record for record in reversed(found) if record.value != _TOMBSTONE], reached

    async def newest(self) -> StatePosition:
        """Return how far the records have come; see :meth:`StateFeed.newest`."""
        await asyncio.sleep(0)
        # A reader that is further behind than tombstones are remembered has to start over.
        era = self._deletions // max(1, self._max_tombstones)
        return StatePosition(f"{self._name}-{era}", self._revision)

    async def read(self, after: int) -> Sequence[StateChange]:
        """Return all that changed, of every kind; see :meth:`StateFeed.read`."""
        await asyncio.sleep(0)
        found: list[StateChange] = []
        for kind, records in self._kinds.items():
            for record in reversed(records.values()):
                if record.revision <= after:
                    break
                value = None if record.value == _TOMBSTONE else record.value
                found.append(StateChange(kind, record.key, value, record.revision))
        return sorted(found, key=lambda change: change.revision)

    async def keys(self, kind: str) -> list[str]:
        """Return all keys of a kind; see :meth:`StateRecords.keys`."""
        await asyncio.sleep(0)
        return list(self._of_kind(kind))

    def _of_kind(self, kind: str) -> dict[str, StateRecord]:
        return self._kinds.setdefault(check_id("kind", kind), {})

    async def _read(self, kind: str, key: str) -> StateRecord | None:
        records = self._of_kind(kind)
        check_id(f"{kind}_id", key)
        # A turn for others, as the way to a server is one.
        await asyncio.sleep(0)
        return records.get(key)

    async def _write(self, kind: str, key: str, value: bytes, revision: int) -> int:
        if len(value) > self._max_record_bytes:
            raise EventTooLargeError(len(value), self._max_record_bytes)
        current = await self._read(kind, key)
        if (current.revision if current is not None else _ABSENT) != revision:
            raise StateConflictError(f"{kind} {key}")
        self._revision += 1
        records = self._of_kind(kind)
        records.pop(key, None)
        records[key] = StateRecord(key, value, self._revision)
        return self._revision
