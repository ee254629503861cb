"""Where a stream of a thread's events begins."""

from dataclasses import dataclass
from typing import Final

from api.thread_places import before_birth
from bridge import EventId, JetStreamBridge
from bridge.subscription import NOTHING, Handled
from bridge.thread_follower import ThreadFollower
from runs import RunNotFoundError, RunsFacade
from runs.models import now

#: A run that ended so shortly ago may be the one that a client has just started, or was watching.
RECENTLY_S: Final = 30.0
#: For so long a new run is waited for before such a run is shown once more.
NEXT_RUN_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where to read from, and what of it was handled already.

    Attributes:
        after: Reading begins above this sequence, before the birth of the run that is shown: what
            an event says depends on those before it.
        shown_after: Only events above this one are told.
        handled: The last event that the client has had, as far as it is known.
    """

    after: int
    shown_after: int
    handled: Handled = NOTHING


class Beginnings:
    """Finds beginnings.

    Args:
        bridge: The event log.
        facade: Knows which run is under way.
    """

    def __init__(self, bridge: JetStreamBridge, facade: RunsFacade) -> None:
        self._bridge = bridge
        self._facade = facade

    async def find(self, following: ThreadFollower, thread_id: str, since: int | None) -> Beginning:
        """Return where a client's stream begins.

        Args:
            following: The thread's events.
            thread_id: The thread.
            since: The last sequence that the client has handled. Without one it is shown the run
                that is under way, that waits for an answer, or that has just ended, from its birth,
                and what comes after; older runs would be taken for the one to come.

        Raises:
            ThreadNotFoundError: There is no such thread.
            UnavailableError: The server fell silent.
        """
        if since is None:
            after = await self._of_current(following, thread_id)
            return Beginning(after, after)
        last = await following.find(since)
        if last is None:
            # What comes may have lower numbers, if the log was restored to an earlier state.
            after = min(since, await _newest(following))
            return Beginning(after, after, Handled(EventId(after, 0), ""))
        born = await before_birth(self._bridge, last.run_id)
        after = since if born is None else min(born, since)
        return Beginning(after, since, Handled(last.event_id, last.run_id))

    async def _of_current(self, following: ThreadFollower, thread_id: str) -> int:
        # Read before the record: what comes after it is certainly seen.
        newest = await _newest(following)
        thread = await self._facade.get_thread(thread_id)
        if thread.active is not None:
            born = await before_birth(self._bridge, thread.active.run_id)
        elif thread.last is None:
            return newest
        elif thread.last.is_interrupted:
            born = await before_birth(self._bridge, thread.last.run_id)
        else:
            is_recent = await self._has_just_ended(thread_id, thread.last.run_id)
            if not is_recent or await following.wait(newest, NEXT_RUN_S):
                return newest
            born = await before_birth(self._bridge, thread.last.run_id)
        return newest if born is None else born

    async def _has_just_ended(self, thread_id: str, run_id: str) -> bool:
        try:
            run = await self._facade.get_run(thread_id, run_id)
        except RunNotFoundError:
            return False
        return run.ended_at is not None and (now() - run.ended_at).total_seconds() < RECENTLY_S


async def _newest(following: ThreadFollower) -> int:
    last = await following.newest()
    return 0 if last is None else last.event_id.stream_seq
