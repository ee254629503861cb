"""Take one step of run control: read the thread, decide, commit by compare-and-set.

A lost race is read again and decided again, a bounded number of times. One of the racers always
wins, so the whole moves on.
"""

import asyncio
import random
from typing import Final, NamedTuple

from bridge import StateConflictError
from runs.commands import Command
from runs.effects import Effect
from runs.errors import ContentionError, ThreadNotFoundError
from runs.records import Records, Versioned
from runs.thread import ThreadRecord
from runs.transitions import outstanding, transition
from runs.turns import Step

#: Lost races after which a caller waits a little before the next try.
_EAGER_RETRIES: Final = 8
_JITTER_S: Final = 0.005


class Taken(NamedTuple):
    """A step that is committed: the thread now, and what is to be done about it."""

    thread: ThreadRecord
    effects: tuple[Effect, ...]
    revision: int

    @property
    def versioned(self) -> Versioned[ThreadRecord]:
        """The thread as it is stored now."""
        return Versioned(self.thread, self.revision)


class ThreadSteps:
    """Commits commands to threads.

    Args:
        records: The stored threads.
        max_conflicts: Lost races of one call, after which it gives up.
    """

    def __init__(self, records: Records, *, max_conflicts: int) -> None:
        self._records = records
        self._max_conflicts = max_conflicts

    async def take(
        self,
        thread_id: str,
        command: Command,
        known: Versioned[ThreadRecord] | None = None,
        decided: Step | None = None,
    ) -> Taken:
        """Decide ``command`` and commit what it changes.

        Args:
            thread_id: The thread.
            command: What shall happen; it is decided anew after each lost race.
            known: The thread as the caller has read it a moment ago; spares one read.
            decided: What the command does to ``known``, when the caller has asked already.

        Raises:
            ThreadNotFoundError: There is no such thread.
            ContentionError: Too many lost races; nothing was stored.
            RunsError: The rules refuse the command; nothing was stored.
            UnavailableError: The server fell silent; the step may be taken or not. Steps are
                idempotent: call again.
        """
        for conflicts in range(self._max_conflicts):
            current = known or await self._records.find_thread(thread_id)
            if current is None:
                raise ThreadNotFoundError(thread_id)
            wanted, effects = decided or transition(current.record, command)
            known = decided = None
            if wanted is current.record:
                # After a conflict the winner may have been ourselves, unnoticed: its effects are
                # still ours to do.
                left = effects or (outstanding(wanted) if conflicts else ())
                return Taken(wanted, left, current.revision)
            try:
                stored = await self._records.write_thread(wanted, revision=current.revision)
            except StateConflictError:
                if conflicts >= _EAGER_RETRIES:
                    await asyncio.sleep(random.uniform(0, _JITTER_S))  # noqa: S311 - spreads retries
            else:
                return Taken(wanted, effects, stored.revision)
        raise ContentionError(f"thread {thread_id}", self._max_conflicts)
