"""Remove checkpoints: single ones, what a run stored, or a whole thread.

Each step can be repeated. What is removed in a thread is removed behind the back of no writer: who
had a claim before loses it first, where the checkpoints of a whole run or thread go.
"""

import asyncio
from collections.abc import Iterable

from bridge.checkpoints.claims import Claims, claim_of
from bridge.checkpoints.reading import CheckpointReader
from bridge.errors import StreamCapacityExceededError
from bridge.ids import token
from bridge.stream_reader import StreamReader
from bridge.subjects import CheckpointKey, CheckpointKind, CheckpointSubjects

_STORED_BY_RUNS = (CheckpointKind.NOTE, CheckpointKind.ENTRY, CheckpointKind.PART)


class CheckpointRemoval:
    """Removes checkpoints.

    Args:
        reader: Reads and purges the stream of checkpoints.
        checkpoints: Reads what is in it.
        claims: Takes threads from their writers.
        subjects: Spells the subjects.
        max_at_once: Removals at one time.
    """

    def __init__(
        self,
        reader: StreamReader,
        checkpoints: CheckpointReader,
        claims: Claims,
        subjects: CheckpointSubjects,
        *,
        max_at_once: int,
    ) -> None:
        self._reader = reader
        self._checkpoints = checkpoints
        self._claims = claims
        self._subjects = subjects
        self._slots = asyncio.Semaphore(max_at_once)

    async def roll_back(self, thread_id: str, run_id: str) -> int:
        """Remove everything that a run stored in a thread, and keep it from storing more.

        Returns:
            How many messages went; 0 when the run stored nothing, or another one did since.

        Raises:
            StreamCapacityExceededError: The server's storage is full of other things; call again.
            UnavailableError: The server fell silent; call again.
        """
        found = await self._claims.find(thread_id)
        if found.run_id != run_id:
            return 0
        early = 0
        try:
            since = await self._claims.end(thread_id, run_id)
        except StreamCapacityExceededError:
            # What is removed makes the room that is needed to keep its writer out.
            early = await self._remove_since(thread_id, found.since)
            since = await self._claims.end(thread_id, run_id)
        return 0 if since is None else early + await self._remove_since(thread_id, since)

    async def _remove_since(self, thread_id: str, claim_seq: int) -> int:
        doomed = [
            subject
            for kind in _STORED_BY_RUNS
            for subject in await self._reader.subjects(
                self._subjects.select(kind, token(thread_id))
            )
            if claim_of(self._subjects.key_of(subject)) >= claim_seq
        ]
        await self._purge(doomed)
        return len(doomed)

    async def erase(self, thread_id: str, ttl_s: float) -> None:
        """Remove everything of a thread; those who are writing it are refused from now on.

        Args:
            thread_id: The thread.
            ttl_s: Seconds for which they are; longer than any of them can live.

        Raises:
            StreamCapacityExceededError: The server's storage is full of other things; call again.
            UnavailableError: The server fell silent; call again.
        """
        if not (await self._claims.find(thread_id)).seq:
            return  # nobody has ever written it
        try:
            await self._claims.drop(thread_id, ttl_s)
        except StreamCapacityExceededError:
            await self._remove_all(thread_id)
            await self._claims.drop(thread_id, ttl_s)
        await self._remove_all(thread_id)

    async def _remove_all(self, thread_id: str) -> None:
        kinds = (*_STORED_BY_RUNS, CheckpointKind.KEPT)
        await self._purge(self._subjects.select(kind, token(thread_id)) for kind in kinds)

    async def remove(self, key: CheckpointKey) -> None:
        """Remove one checkpoint with all that was noted on it.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        path = (key.thread, key.lane, key.entry)
        await self._purge([self._subjects.place(CheckpointKind.ENTRY, key)])
        kinds = (CheckpointKind.KEPT, CheckpointKind.NOTE, CheckpointKind.PART)
        await self._purge(self._subjects.select(kind, *path) for kind in kinds)

    async def hide(self, key: CheckpointKey) -> None:
        """Remove one checkpoint with its notes from sight, after a copy of it was kept."""
        await self._purge([self._subjects.place(CheckpointKind.ENTRY, key)])
        path = (key.thread, key.lane, key.entry)
        await self._purge([self._subjects.select(CheckpointKind.NOTE, *path)])

    async def remove_notes(self, run: str) -> None:
        """Remove all notes of a run, on whichever checkpoint they are."""
        notes = await self._checkpoints.keys(CheckpointKind.NOTE, run=run)
        places = [self._subjects.place(CheckpointKind.NOTE, key) for key in notes]
        await self._purge(places)
        await self._purge(self._subjects.parts(key) for key in notes)

    async def _purge(self, filters: Iterable[str]) -> None:
        async def purge(subject: str) -> None:
            async with self._slots:
                await self._reader.purge(subject)

        await asyncio.gather(*(purge(each) for each in filters))
