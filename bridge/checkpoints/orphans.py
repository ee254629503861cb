"""Remove parts of checkpoints that no message will ever name: a writer died before it did.

Nobody can see them, so nothing but room is lost while they stay. What may still be named stays:
parts go once the server refuses whoever stored them.
"""

import logging
from collections.abc import Iterable
from typing import Final

from bridge.checkpoints.claims import Claims
from bridge.event_log import EventLog
from bridge.ids import is_id
from bridge.stream_reader import StreamReader
from bridge.subjects import CheckpointKey, CheckpointKind, CheckpointSubjects, RunRef

_LOG = logging.getLogger("jetrun.retention")

#: What may name parts. A checkpoint that is kept for others is hidden once the copy is stored, so
#: who looks in this order sees one of the two.
_HEADS: Final = (CheckpointKind.ENTRY, CheckpointKind.KEPT, CheckpointKind.NOTE)


class OrphanedParts:
    """Finds and removes them; any number of processes may.

    Args:
        reader: Reads and purges the stream of checkpoints.
        claims: Says who may write a thread.
        subjects: Spells the subjects.
        log: Says which runs have ended.
    """

    def __init__(
        self, reader: StreamReader, claims: Claims, subjects: CheckpointSubjects, log: EventLog
    ) -> None:
        self._reader = reader
        self._claims = claims
        self._subjects = subjects
        self._log = log

    async def visit(self, shard: str) -> None:
        """Remove those of the threads of one shard; linear in the parts of these threads.

        Raises:
            UnavailableError: The server fell silent; what is left goes at the next visit.
            StreamCapacityExceededError: The server's storage is full; likewise.
        """
        parts = await self._reader.subjects(self._subjects.parts_of_shard(shard))
        keys = {self._subjects.key_of(subject) for subject in parts}
        for key in await self._unnamed(keys):
            # In this order: whoever can still store may name them after any look.
            if await self._is_lost(key) and not await self._is_named(key):
                removed = await self._reader.purge(self._subjects.parts(key))
                _LOG.info("checkpoint.parts.removed", extra={"parts": removed, "run": key.run})

    async def _unnamed(self, keys: Iterable[CheckpointKey]) -> list[CheckpointKey]:
        """Leave out what is named; a replica that lags does not know the newest names."""
        unnamed = list(keys)
        for kind in _HEADS:
            places = {self._subjects.place(kind, key): key for key in unnamed}
            for head in await self._reader.read_last(list(places)):
                places.pop(head.subject, None)
            unnamed = list(places.values())
        return unnamed

    async def _is_named(self, key: CheckpointKey) -> bool:
        """Return whether the leader knows of something that names the parts of a key."""
        for kind in _HEADS:
            if await self._reader.find_last(self._subjects.place(kind, key)) is not None:
                return True
        return False

    async def _is_lost(self, key: CheckpointKey) -> bool:
        """Return whether whoever stored the parts of a key can store nothing more."""
        part = await self._reader.find_last(self._subjects.parts(key))
        if part is None:
            return False  # somebody else was quicker
        claim = await self._claims.find_by_token(key.thread)
        # A claim lies before everything that is stored under it, and without one nothing is.
        if claim.seq == 0 or part.seq < claim.seq:
            return True
        if claim.run_id is None or not (is_id(key.thread) and is_id(claim.run_id)):
            return False  # no run of this log: whoever claims the thread next decides
        newest = await self._log.run(RunRef(key.thread, claim.run_id)).find_last()
        if newest is None or not newest.is_terminal:
            return False
        return await self._claims.end(key.thread, claim.run_id) is not None
