"""Where a stream of a thread's events begins, by the id of the last event handled."""

from typing import NamedTuple

from bridge import (
    EventId,
    GapReason,
    JetStreamBridge,
    StreamEvent,
    StreamGap,
    StreamNotFoundError,
    parse_cursor,
)
from bridge.ids import MALFORMED, START
from bridge.thread_follower import ThreadFollower
from runs import RunsFacade


class Place(NamedTuple):
    """A place between two events of a thread.

    Attributes:
        after: The stream sequence above which reading begins.
        last: The last event handled, where the log holds it.
        gap: What is told first, where the client's cursor cannot be honoured.
        cursor: What leads to the same place again; ``None`` where that depends on the moment.
    """

    after: int
    last: StreamEvent | None = None
    gap: StreamGap | None = None
    cursor: str | None = None


class Places:
    """Finds the places that clients ask for.

    Args:
        bridge: The event log.
        facade: Knows which run is under way.
    """

    def __init__(self, bridge: JetStreamBridge, facade: RunsFacade) -> None:
        self._bridge = bridge
        self._facade = facade

    async def find(self, following: ThreadFollower, thread_id: str, cursor: str | None) -> Place:
        """Return where a client's stream begins.

        Args:
            following: The thread's events.
            thread_id: The thread.
            cursor: The id of the last event handled. Without one the client gets the run that is
                under way, from its birth, and what comes after; what means "from the start"
                elsewhere means all that is retained.

        Raises:
            ThreadNotFoundError: There is no such thread.
            UnavailableError: The server fell silent.
        """
        if not cursor:
            return await self._of_current(following, thread_id)
        wanted = parse_cursor(cursor)
        if wanted is START:
            return Place(0, cursor=cursor)
        found = await following.find(wanted.stream_seq) if isinstance(wanted, EventId) else None
        if found is not None and found.event_id == wanted:
            return Place(found.event_id.stream_seq, found, cursor=cursor)
        reason = GapReason.INVALID if wanted is MALFORMED else GapReason.UNKNOWN
        gap = await _gap(following, cursor, reason)
        return Place(0, gap=gap, cursor=cursor)

    async def _of_current(self, following: ThreadFollower, thread_id: str) -> Place:
        # Read before the record: what comes after it is certainly seen.
        newest = await following.newest()
        thread = await self._facade.get_thread(thread_id)
        if thread.active is not None:
            born = await before_birth(self._bridge, thread.active.run_id)
            if born is not None:
                return Place(born)
        if newest is None:
            return Place(0, cursor="0-0")
        return Place(newest.event_id.stream_seq, cursor=newest.id)


async def before_birth(bridge: JetStreamBridge, run_id: str) -> int | None:
    """Return the sequence before the oldest event of a run that the log holds.

    Raises:
        UnavailableError: The server fell silent.
    """
    try:
        first = parse_cursor((await bridge.status(run_id)).first_id)
    except StreamNotFoundError:
        return None
    return first.stream_seq - 1 if isinstance(first, EventId) else None


async def _gap(following: ThreadFollower, cursor: str, reason: GapReason) -> StreamGap:
    """Say that a cursor is not honoured; of which run its event was, nobody knows."""
    oldest, newest = await following.oldest(), await following.newest()
    return StreamGap(
        "",
        cursor,
        None if oldest is None else oldest.id,
        None if newest is None else newest.id,
        None,
        reason,
    )
