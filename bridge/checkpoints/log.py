"""The log of checkpoints: threads, lanes in them, checkpoints in those, and notes on checkpoints.

One writer at a time extends a thread. What a checkpoint holds is the caller's affair; here it is
bytes. Names of threads, lanes and checkpoints may be any text.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from bridge import wire
from bridge.checkpoints.claims import Claims, ThreadClaim
from bridge.checkpoints.orphans import OrphanedParts
from bridge.checkpoints.reading import CheckpointEntry, CheckpointReader
from bridge.checkpoints.removal import CheckpointRemoval
from bridge.checkpoints.writing import CheckpointWriter, encode_name
from bridge.connection import Connection
from bridge.event_log import EventLog
from bridge.ids import token
from bridge.settings import BridgeSettings
from bridge.stream_reader import StreamReader
from bridge.subjects import CheckpointKey, CheckpointKind, CheckpointSubjects

#: Checkpoints in memory at one time while many are read.
_PAGE: Final = 16
_COPIED: Final = frozenset(
    {
        wire.CHECKPOINT_THREAD,
        wire.CHECKPOINT_LANE,
        wire.CHECKPOINT_ID,
        wire.CHECKPOINT_PARTS,
    }
)


class CheckpointLog:
    """Stores, reads and removes checkpoints; all its calls belong on one event loop.

    Args:
        connection: An open connection.
        reader: Reads the stream of checkpoints.
        settings: Limits.

    Attributes:
        loop: The event loop that its calls belong on.
    """

    def __init__(
        self, connection: Connection, reader: StreamReader, settings: BridgeSettings
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._subjects = CheckpointSubjects(settings.log.prefix)
        self._claims = Claims(connection, reader, self._subjects)
        self._checkpoints = CheckpointReader(reader, self._subjects)
        limits = settings.checkpoints
        self._writer = CheckpointWriter(
            connection, self._claims, self._subjects, max_bytes=limits.max_bytes
        )
        self._removal = CheckpointRemoval(
            reader,
            self._checkpoints,
            self._claims,
            self._subjects,
            max_at_once=limits.max_concurrent_deletes,
        )
        self._deleted_ttl_s = settings.retention.deleted_ttl_s
        self._reader = reader

    def orphans(self, log: EventLog) -> OrphanedParts:
        """Make what removes the parts that writers left who died.

        Args:
            log: Says which runs have ended.
        """
        return OrphanedParts(self._reader, self._claims, self._subjects, log)

    async def claim(
        self, thread_id: str, *, run_id: str | None = None, attempt: int = 0
    ) -> ThreadClaim:
        """Become the one who writes a thread's checkpoints; who wrote before is refused from now.

        Args:
            thread_id: The thread.
            run_id: The run that writes, if it is one; :meth:`roll_back` undoes what it stores.
            attempt: The run's attempt; an earlier one cannot take the thread back.

        Raises:
            CheckpointFencedError: A later attempt has it, or the run was rolled back.
            StreamCapacityExceededError: The server's storage is full.
            UnavailableError: The server fell silent; call again.
        """
        return await self._claims.take(thread_id, run_id, attempt)

    async def append(
        self, claim: ThreadClaim, lane: str, entry_id: str, payload: bytes
    ) -> CheckpointKey:
        """Store a checkpoint; once this returns, it is the newest of its lane.

        Returns:
            Its place, by which others can name it.

        Raises:
            CheckpointTooLargeError: Above the limit; nothing was stored.
            CheckpointFencedError: Another writer has the thread; it was not stored.
            StreamCapacityExceededError: The server's storage is full; it was not stored.
            UnavailableError: The server fell silent; ``stored`` says what is known.
        """
        key = claim.new_key(lane, entry_id)
        names = _names(claim.thread_id, lane, entry_id)
        await self._writer.store(claim, CheckpointKind.ENTRY, key, payload, names)
        return key

    async def annotate(self, claim: ThreadClaim, lane: str, entry_id: str, payload: bytes) -> None:
        """Note something on a checkpoint; raises as :meth:`append` does."""
        key = claim.new_key(lane, entry_id)
        await self._writer.store(claim, CheckpointKind.NOTE, key, payload, {})

    async def find(
        self, thread_id: str, lane: str, entry_id: str | None = None
    ) -> CheckpointEntry | None:
        """Return one checkpoint as the leader knows it; without an id, the newest of the lane.

        Raises:
            CheckpointDamagedError: A part of it is gone.
            UnavailableError: The server fell silent.
        """
        path = [token(thread_id), token(lane)]
        path += [] if entry_id is None else [token(entry_id)]
        return await self._checkpoints.find_last(*path)

    async def read(self, keys: Sequence[CheckpointKey]) -> dict[CheckpointKey, CheckpointEntry]:
        """Read many checkpoints by their places, those that are only kept for others included.

        Returns:
            Them by place, without those that are gone.

        Raises:
            CheckpointDamagedError: A part of one is gone.
            UnavailableError: The server fell silent.
        """
        return await self._checkpoints.read(keys)

    async def pages(self, keys: Sequence[CheckpointKey]) -> AsyncGenerator[list[CheckpointEntry]]:
        """Yield the checkpoints at many places in their order, a few at a time.

        Raises:
            CheckpointDamagedError: A part of one is gone.
            UnavailableError: The server fell silent.
        """
        for start in range(0, len(keys), _PAGE):
            found = await self._checkpoints.read(keys[start : start + _PAGE])
            yield [found[key] for key in keys[start : start + _PAGE] if key in found]

    async def notes(self, entry: CheckpointEntry) -> list[bytes]:
        """Return what was noted on a checkpoint, oldest first, as the leader knows it.

        Raises:
            CheckpointDamagedError: A part of a note is gone.
            UnavailableError: The server fell silent.
        """
        return await self._checkpoints.notes(entry)

    async def keys(
        self, thread_id: str | None = None, lane: str | None = None, *, run_id: str | None = None
    ) -> list[CheckpointKey]:
        """Return the places of checkpoints, newest first.

        Args:
            thread_id: Only of this thread; ``None`` means all.
            lane: Only of this lane of the thread.
            run_id: Only those that this run stored, of whichever thread; reads all subjects.

        Raises:
            UnavailableError: The server fell silent.
        """
        if run_id is not None:
            return await self._checkpoints.keys(CheckpointKind.ENTRY, run=token(run_id))
        path = [token(each) for each in (thread_id, lane) if each is not None]
        return await self._checkpoints.keys(CheckpointKind.ENTRY, *path)

    @staticmethod
    def is_about(key: CheckpointKey, entry_id: str) -> bool:
        """Whether a place is that of the checkpoint with an id."""
        return key.entry == token(entry_id)

    async def siblings(self, key: CheckpointKey) -> list[CheckpointKey]:
        """Return the places of all checkpoints in the lane of one, newest first."""
        return await self._checkpoints.keys(CheckpointKind.ENTRY, key.thread, key.lane)

    async def kept_siblings(self, key: CheckpointKey) -> list[CheckpointKey]:
        """Return the places of those in the lane of one that :meth:`keep` has hidden."""
        return await self._checkpoints.keys(CheckpointKind.KEPT, key.thread, key.lane)

    async def keep(self, entry: CheckpointEntry) -> None:
        """Take a checkpoint out of its lane, with its notes; :meth:`read` still finds it.

        Whoever writes the thread is not disturbed.

        Raises:
            CheckpointFencedError: A writer began or ended meanwhile; nothing was changed.
            StreamCapacityExceededError: The server's storage is full; nothing was changed.
            UnavailableError: The server fell silent; call again.
        """
        witness = await self._claims.find(entry.thread_id)
        claim = ThreadClaim(entry.thread_id, witness.run_id, witness.seq)
        names = _names(entry.thread_id, entry.lane, entry.entry_id)
        await self._writer.store(claim, CheckpointKind.KEPT, entry.key, entry.payload, names)
        await self._removal.hide(entry.key)

    async def remove(self, key: CheckpointKey) -> None:
        """Remove a checkpoint, kept or not, with all that was noted on it.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        await self._removal.remove(key)

    async def remove_notes(self, run_id: str) -> None:
        """Remove all that a run noted, on whichever checkpoint; reads all subjects.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        await self._removal.remove_notes(token(run_id))

    async def roll_back(self, thread_id: str, run_id: str) -> int:
        """Make a thread's checkpoints what they were before a run, which cannot store any more.

        Returns:
            How many messages went; 0 when the run stored nothing, or another one has since.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        return await self._removal.roll_back(thread_id, run_id)

    async def erase(self, thread_id: str) -> None:
        """Remove everything of a thread; those who are writing it are refused from now on.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        await self._removal.erase(thread_id, self._deleted_ttl_s)

    async def copy(self, source_id: str, target_id: str) -> None:
        """Copy everything of a thread into another one, which should be empty.

        A crash leaves a part of it there: erase it and copy again.

        Raises:
            CheckpointFencedError: Somebody else began to write the target.
            StreamCapacityExceededError: The server's storage is full; a part is copied.
            UnavailableError: The server fell silent; a part is copied.
        """
        claim = await self.claim(target_id)
        # Parts and kept ones first: a checkpoint that can be seen must be whole.
        for kind in (
            CheckpointKind.PART,
            CheckpointKind.KEPT,
            CheckpointKind.ENTRY,
            CheckpointKind.NOTE,
        ):
            async for page in self._checkpoints.pages(kind, token(source_id)):
                for message in page:
                    subject = self._subjects.moved(message.subject, token(target_id))
                    headers = {
                        name: value for name, value in message.headers.items() if name in _COPIED
                    }
                    if wire.CHECKPOINT_THREAD in headers:
                        headers[wire.CHECKPOINT_THREAD] = encode_name(target_id)
                    await self._writer.publish(claim, subject, message.payload, headers)


def _names(thread_id: str, lane: str, entry_id: str) -> dict[str, str]:
    return {
        wire.CHECKPOINT_THREAD: encode_name(thread_id),
        wire.CHECKPOINT_LANE: encode_name(lane),
        wire.CHECKPOINT_ID: encode_name(entry_id),
    }
