"""What a bridge asks of the archive: events of a run that its log no longer holds.

Implemented above this package. Events may be in both tiers; they are the same in both, id included.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from bridge.events import StreamEvent
from bridge.subjects import RunRef


class ColdTier(Protocol):
    """Reads the events of a run that were archived, without end or wait."""

    async def read(self, run: RunRef, *, after_run_seq: int, limit: int) -> Sequence[StreamEvent]:
        """Return the next archived events after a number of the run.

        Args:
            run: The run; one that was never archived has no events.
            after_run_seq: The last event's number that counts as known; 0 reads from the start.
            limit: At most so many, and always fewer than fit in memory.

        Returns:
            Events ascending by run_seq, perhaps with holes; none when nothing follows. Fewer than
            ``limit`` do not mean that the end was reached.

        Raises:
            ColdTierError: The archive is there and cannot be read; try again.
        """

    async def find_last(self, run: RunRef) -> StreamEvent | None:
        """Return the newest archived event; ``None`` when there is none.

        Raises:
            ColdTierError: The archive is there and cannot be read; try again.
        """


class _NoColdTier:
    """What a bridge without an archive asks."""

    async def read(self, run: RunRef, *, after_run_seq: int, limit: int) -> Sequence[StreamEvent]:  # noqa: ARG002 - the protocol's
        return ()

    async def find_last(self, run: RunRef) -> StreamEvent | None:  # noqa: ARG002 - the protocol's
        return None


NO_COLD_TIER: Final[ColdTier] = _NoColdTier()


async def find_archived(cold: ColdTier, run: RunRef, run_seq: int) -> StreamEvent | None:
    """Return the archived event with a number of the run; ``None`` when it is not archived.

    Raises:
        ColdTierError: The archive is there and cannot be read; try again.
    """
    found = await cold.read(run, after_run_seq=run_seq - 1, limit=1)
    return found[0] if found and found[0].run_seq == run_seq else None
