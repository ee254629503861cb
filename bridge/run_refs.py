"""Whose a run is: the thread of every run that was ever created, and which runs were deleted.

A ref is written before the run's birth and never changes; deletion leaves a tombstone in its
place. A process remembers some of them; what it remembers may be older than a deletion, which the
log tells.
"""

from collections import OrderedDict
from contextlib import suppress

from bridge.coordination import StateRecord, StateRecords
from bridge.errors import (
    ConflictError,
    StateConflictError,
    StreamNotFoundError,
    StreamTerminatedError,
)
from bridge.events import DELETED
from bridge.ids import check_id
from bridge.state import REF
from bridge.subjects import RunRef


class RunRefs:
    """Reads and writes refs.

    Args:
        states: Where they are kept.
        max_cached: How many this process remembers.
    """

    def __init__(self, states: StateRecords, *, max_cached: int) -> None:
        self._states = states
        self._max_cached = max_cached
        self._runs: OrderedDict[str, RunRef] = OrderedDict()

    async def claim(self, run: RunRef) -> bool:
        """Note whose the run is; return whether nobody had.

        Raises:
            ConflictError: The run exists under another thread.
            StreamTerminatedError: The run was deleted.
            UnavailableError: The server fell silent.
        """
        is_ours = True
        try:
            await self._states.create(REF, run.run_id, run.thread_id.encode())
        except StateConflictError:
            is_ours = False
            # Read anew: what is remembered of a run may be older than its deletion.
            owner = await self.find_record(run.run_id)
            if owner is None:
                raise StreamTerminatedError(run.run_id, DELETED) from None
            if owner.value.decode() != run.thread_id:
                raise ConflictError(f"run {run.run_id} exists under another thread") from None
        self._remember(run)
        return is_ours

    def recall(self, run_id: str) -> RunRef | None:
        """Return a run that this process remembers, without asking anybody."""
        return self._runs.get(run_id)

    async def find(self, run_id: str) -> RunRef | None:
        """Return a run; ``None`` when nobody created it, or it was deleted.

        Raises:
            InvalidIdError: ``run_id`` is not one subject token.
            UnavailableError: The server fell silent.
        """
        known = self._runs.get(check_id("run_id", run_id))
        if known is not None:
            self._runs.move_to_end(run_id)
            return known
        record = await self.find_record(run_id)
        if record is None:
            return None
        run = RunRef(record.value.decode(), run_id)
        self._remember(run)
        return run

    async def get(self, run_id: str) -> RunRef:
        """Return a run to read.

        Raises:
            StreamNotFoundError: Nobody created it, or it was deleted.
        """
        run = await self.find(run_id)
        if run is None:
            raise StreamNotFoundError(run_id)
        return run

    async def get_writable(self, run_id: str) -> RunRef:
        """Return a run to write to.

        Raises:
            StreamNotFoundError: Nobody created it.
            StreamTerminatedError: It was deleted.
        """
        run = await self.find(run_id)
        if run is not None:
            return run
        if await self.is_deleted(run_id):
            raise StreamTerminatedError(run_id, DELETED)
        raise StreamNotFoundError(run_id)

    async def find_record(self, run_id: str) -> StateRecord | None:
        """Return the ref as the leader knows it, whatever is remembered."""
        return await self._states.find(REF, check_id("run_id", run_id))

    async def is_deleted(self, run_id: str) -> bool:
        """Whether a run was deleted, as the leader knows it.

        Raises:
            InvalidIdError: ``run_id`` is not one subject token.
            UnavailableError: The server fell silent.
        """
        return await self._states.is_deleted(REF, check_id("run_id", run_id))

    async def delete(self, record: StateRecord) -> None:
        """Put a tombstone in the place of a ref, which keeps out all who come later."""
        with suppress(StateConflictError):  # somebody else deleted it at the same moment
            await self._states.delete(REF, record.key, revision=record.revision)
        self.forget(record.key)

    def forget(self, run_id: str) -> None:
        """Remember a run no longer."""
        self._runs.pop(run_id, None)

    def _remember(self, run: RunRef) -> None:
        self._runs[run.run_id] = run
        if len(self._runs) > self._max_cached:
            self._runs.popitem(last=False)
