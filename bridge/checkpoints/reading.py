"""Read a thread's checkpoints: the newest at the leader, others in bulk."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from bridge import wire
from bridge.checkpoints.claims import claim_of
from bridge.checkpoints.writing import decode_name
from bridge.errors import CheckpointDamagedError
from bridge.stream_reader import StoredMessage, StreamReader
from bridge.subjects import CheckpointKey, CheckpointKind, CheckpointSubjects


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """One checkpoint as it was stored.

    Attributes:
        key: Its place.
        thread_id: The thread.
        lane: The line of checkpoints within the thread.
        entry_id: Its id within the lane.
        payload: Its content.
    """

    key: CheckpointKey
    thread_id: str
    lane: str
    entry_id: str
    payload: bytes


class CheckpointReader:
    """Reads checkpoints.

    Args:
        reader: Reads the stream of checkpoints.
        subjects: Spells the subjects.
    """

    def __init__(self, reader: StreamReader, subjects: CheckpointSubjects) -> None:
        self._reader = reader
        self._subjects = subjects

    async def find_last(self, *path: str) -> CheckpointEntry | None:
        """Return the newest checkpoint of a lane or with an id, as the leader knows it.

        Args:
            *path: The tokens of thread and lane, and of the checkpoint when a certain one is meant.

        Raises:
            CheckpointDamagedError: A part of it is gone.
            UnavailableError: The server fell silent.
        """
        while True:
            message = await self._reader.find_last(
                self._subjects.select(CheckpointKind.ENTRY, *path)
            )
            if message is None:
                return None
            try:
                return await self._entry(message)
            except CheckpointDamagedError:
                # It may have been removed meanwhile, parts first.
                if await self._reader.find(message.seq) is not None:
                    raise

    async def read(self, keys: Sequence[CheckpointKey]) -> dict[CheckpointKey, CheckpointEntry]:
        """Read many checkpoints, those included that stay only because others need them.

        Returns:
            Them by key, without those that are gone.

        Raises:
            CheckpointDamagedError: A part of one is gone.
            UnavailableError: The server fell silent.
        """
        found: dict[CheckpointKey, CheckpointEntry] = {}
        for kind in (CheckpointKind.ENTRY, CheckpointKind.KEPT):
            subjects = [self._subjects.place(kind, key) for key in keys if key not in found]
            for message in await self._reader.read_last(subjects) if subjects else ():
                entry = await self._entry(message)
                found[entry.key] = entry
        for key in keys:
            # A replica may lag; the leader knows.
            if key not in found and (late := await self._find_at_leader(key)) is not None:
                found[key] = late
        return found

    async def _find_at_leader(self, key: CheckpointKey) -> CheckpointEntry | None:
        for kind in (CheckpointKind.ENTRY, CheckpointKind.KEPT):
            message = await self._reader.find_last(self._subjects.place(kind, key))
            if message is not None:
                return await self._entry(message)
        return None

    async def notes(self, entry: CheckpointEntry) -> list[bytes]:
        """Return what was noted on a checkpoint, oldest first, as the leader knows it.

        Raises:
            CheckpointDamagedError: A part of a note is gone.
            UnavailableError: The server fell silent.
        """
        key = entry.key
        subject = self._subjects.select(CheckpointKind.NOTE, key.thread, key.lane, key.entry)
        messages: list[StoredMessage] = []
        # A note may come before its checkpoint, but not before the claim under which that came.
        after = claim_of(key)
        while (page := await self._reader.read(subject, after + 1)).messages:
            messages += page.messages
            after = page.messages[-1].seq
            # An empty page was confirmed by the leader; after another one it has the last word.
            if page.complete and await self._reader.find_next(subject, after + 1) is None:
                break
        return await asyncio.gather(*(self._content(message) for message in messages))

    async def pages(
        self, kind: CheckpointKind, *path: str
    ) -> AsyncGenerator[Sequence[StoredMessage]]:
        """Yield the messages of a kind as they are stored, oldest first, page by page.

        Raises:
            UnavailableError: The server fell silent.
        """
        after = 0
        while (
            page := await self._reader.read(self._subjects.select(kind, *path), after + 1)
        ).messages:
            yield page.messages
            after = page.messages[-1].seq

    async def keys(
        self, kind: CheckpointKind, *path: str, run: str | None = None
    ) -> list[CheckpointKey]:
        """Return the keys of all messages of a kind, newest first.

        Args:
            kind: The kind.
            *path: The tokens of thread, lane and checkpoint, as far as wanted.
            run: The token of the run that stored them; only without a path.

        Raises:
            UnavailableError: The server fell silent.
        """
        subjects = await self._reader.subjects(self._subjects.select(kind, *path, run=run))
        keys = {self._subjects.key_of(subject) for subject in subjects}
        return sorted(keys, key=lambda key: key.order, reverse=True)

    async def _entry(self, message: StoredMessage) -> CheckpointEntry:
        headers = message.headers
        return CheckpointEntry(
            key=self._subjects.key_of(message.subject),
            thread_id=decode_name(headers[wire.CHECKPOINT_THREAD]),
            lane=decode_name(headers[wire.CHECKPOINT_LANE]),
            entry_id=decode_name(headers[wire.CHECKPOINT_ID]),
            payload=await self._content(message),
        )

    async def _content(self, message: StoredMessage) -> bytes:
        number = message.headers.get(wire.CHECKPOINT_PARTS)
        if number is None:
            return message.payload
        key = self._subjects.key_of(message.subject)
        subjects = [self._subjects.part(key, each) for each in range(int(number))]
        found = {part.subject: part for part in await self._reader.read_last(subjects)}
        pieces: list[bytes] = []
        for subject in subjects:
            part = found.get(subject) or await self._reader.find_last(subject)
            if part is None:
                raise CheckpointDamagedError(key.thread, f"a part of {key.entry}")
            pieces.append(part.payload)
        return b"".join(pieces)
