"""Finish what a step began: its effects, the projection of a sealed log, what a crash left.

Everything here is idempotent and may be done by any process, at any time, more than once.
"""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar, assert_never

from bridge import (
    AlreadyQueuedError,
    RunBridge,
    RunRef,
    StateConflictError,
    StreamEvent,
    StreamNotFoundError,
    Terminal,
    encode_json,
)
from runs.commands import Finish
from runs.effects import (
    ClearTimer,
    CreateLog,
    Effect,
    EnqueueJob,
    Nudge,
    Retire,
    RollBack,
    Seal,
    SetTimer,
)
from runs.errors import ContentionError, RunNotFoundError
from runs.models import Outcome, RunRecord, now
from runs.outcome import INTERRUPTED, outcome_of, terminal_of
from runs.quotas import Quotas
from runs.records import Records, Versioned
from runs.retirement_line import put_in_line
from runs.run_timers import RUN_TIMER, set_timer
from runs.steps import Taken, ThreadSteps
from runs.thread import ThreadRecord
from runs.transitions import outstanding
from runs.webhooks.announcing import Webhooks

_Record = TypeVar("_Record")

_MAX_RECORD_CONFLICTS: Final = 16
#: A record that no thread refers to is a create under way, until it is older than any call lasts.
_ORPHAN_AGE: Final = timedelta(seconds=120)


class _Closed(NamedTuple):
    record: RunRecord | None
    effects: tuple[Effect, ...]


class Known(NamedTuple):
    """A run and its thread as somebody has read or written them; perhaps they changed since."""

    run: Versioned[RunRecord]
    thread: Versioned[ThreadRecord]


class Reconciler:
    """Does what the state asks for.

    Attributes:
        quotas: Count the runs under way; one that ends leaves them.
    """

    def __init__(
        self, bridge: RunBridge, records: Records, steps: ThreadSteps, quotas: Quotas
    ) -> None:
        self.quotas = quotas
        self._bridge = bridge
        self._records = records
        self._steps = steps
        self._webhooks = Webhooks(bridge)

    async def apply(self, taken: Taken) -> None:
        """Do the effects of a step, in order, then the effects that follow from those.

        Raises:
            BridgeError: One could not be done; the state still asks for it.
        """
        await self._apply(taken.thread.thread_id, taken.effects)

    async def _apply(self, thread_id: str, effects: tuple[Effect, ...]) -> None:
        pending = deque(effects)
        while pending:
            pending.extend(await self._do(thread_id, pending.popleft()))

    async def _do(self, thread_id: str, effect: Effect) -> tuple[Effect, ...]:
        if isinstance(effect, Retire):
            await put_in_line(self._bridge.jobs, thread_id)
            return ()
        run = RunRef(thread_id, effect.run_id)
        match effect:
            case CreateLog():
                await self._bridge.create(run.run_id, thread_id=thread_id)
            case EnqueueJob():
                await self._enqueue(run, effect.executor)
            case SetTimer():
                await set_timer(self._bridge.timers, run, effect.due)
            case ClearTimer():
                await self._bridge.timers.cancel(RUN_TIMER, run.run_id)
            case Nudge():
                await self._bridge.controls.nudge(run.run_id)
            case Seal():
                return (await self._close(run, await self.seal(run, INTERRUPTED))).effects
            case RollBack():
                return (await self._close(run)).effects
            case _:
                assert_never(effect)
        return ()

    async def _enqueue(self, run: RunRef, executor: str) -> None:
        payload = encode_json({"thread_id": run.thread_id})
        # Somebody else may have done it; a job that comes twice is dropped by its worker.
        with suppress(AlreadyQueuedError):
            await self._bridge.jobs.put(executor, run.run_id, payload)

    async def seal(self, run: RunRef, outcome: Outcome) -> str:
        """End the run's log with ``outcome``; if it has ended, the first terminal stays.

        Returns:
            The id of the terminal event that stands.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        kind, data = terminal_of(outcome)
        return await self._seal(run, kind, data)

    async def dead_letter(self, run: RunRef, reason: str) -> str:
        """End the log of a run that nobody can go on with; if it has ended, that stays.

        Returns:
            The id of the terminal event that stands.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        data = {"reason": reason, "timestamp": now().isoformat().replace("+00:00", "Z")}
        return await self._seal(run, Terminal.DEAD_LETTER, data)

    async def _seal(self, run: RunRef, kind: Terminal, data: dict[str, Any]) -> str:
        try:
            return await self._bridge.publish_terminal(run.run_id, kind, data)
        except StreamNotFoundError:
            # A crash came between the commit and the birth.
            await self._bridge.create(run.run_id, thread_id=run.thread_id)
            return await self._bridge.publish_terminal(run.run_id, kind, data)

    async def settle(
        self, run: RunRef, terminal_id: str | None = None, known: Known | None = None
    ) -> RunRecord:
        """Make record and thread agree with the run's log, once that is sealed.

        Args:
            run: The run.
            terminal_id: The id of its terminal event, where it is known; spares a search.
            known: Record and thread as the caller knows them; spares two reads.

        Returns:
            The record: final when the log is sealed, else as it is.

        Raises:
            RunNotFoundError: There is no such run in the thread, or it has been rolled back.
            UnavailableError: The server fell silent; call again.
        """
        closed = await self._close(run, terminal_id, known)
        await self._apply(run.thread_id, closed.effects)
        if closed.record is None or RollBack(run.run_id) in closed.effects:
            raise RunNotFoundError(run.run_id)
        return closed.record

    async def _close(
        self, run: RunRef, terminal_id: str | None = None, known: Known | None = None
    ) -> _Closed:
        # What is known may be stale: each write below finds that out, and decides again.
        found, thread, terminal = await asyncio.gather(
            self._records.find_run(run.run_id) if known is None else _given(known.run),
            self._records.find_thread(run.thread_id) if known is None else _given(known.thread),
            self.find_terminal(run, terminal_id),
        )
        if found is not None and found.record.thread_id != run.thread_id:
            return _Closed(None, ())
        is_inflight = thread is not None and thread.record.has_inflight(run.run_id)
        if terminal is None:
            if found is not None and not is_inflight and await self._remove_orphan(found):
                return _Closed(None, ())
            return _Closed(None if found is None else found.record, ())
        is_rolled_back = thread is not None and thread.record.is_rolled_back(run.run_id)
        record = None
        if is_rolled_back:
            if found is not None:
                await self._webhooks.announce(_ended(found.record, terminal))
            # The thread takes in no other run before this one is removed from it.
            await self._bridge.checkpoints.roll_back(run.thread_id, run.run_id)
            await self._records.remove_run(run.run_id)
        elif found is not None:
            record = await self._close_record(found, terminal)
            if record is not None and is_inflight:
                await self._webhooks.announce(record)
        if not is_inflight:
            return _Closed(record, ())
        command = Finish(run.run_id, outcome_of(terminal), now(), is_removed=is_rolled_back)
        taken = await self._steps.take(run.thread_id, command, known=thread)
        if found is not None:
            await self.quotas.leave(found.record)
        return _Closed(record, taken.effects)

    async def find_terminal(
        self, run: RunRef, terminal_id: str | None = None
    ) -> StreamEvent | None:
        """Return the event that sealed the run's log, or ``None`` while it is open.

        Args:
            run: The run.
            terminal_id: The event's id, where it is known; spares a search.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        try:
            if terminal_id is not None:
                return await self._bridge.find_event(run.run_id, terminal_id)
            return (await self._bridge.status(run.run_id)).terminal
        except StreamNotFoundError:
            return None

    async def _close_record(
        self, found: Versioned[RunRecord], terminal: StreamEvent
    ) -> RunRecord | None:
        run_id = found.record.run_id
        for _ in range(_MAX_RECORD_CONFLICTS):
            ended = _ended(found.record, terminal)
            if ended is found.record:
                return ended
            try:
                return (await self._records.update_run(ended, revision=found.revision)).record
            except StateConflictError:
                newer = await self._records.find_run(run_id)
                if newer is None:
                    return None
                found = newer
        raise ContentionError(f"the record of run {run_id}", _MAX_RECORD_CONFLICTS)

    async def _remove_orphan(self, found: Versioned[RunRecord]) -> bool:
        if found.record.status.is_final or now() - found.record.created_at < _ORPHAN_AGE:
            return False
        with suppress(StateConflictError):
            await self._records.delete_run(found)
        return True

    async def repair(self, thread_id: str) -> None:
        """Do everything that the thread's state asks for and that a crash may have left undone.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        found = await self._records.find_thread(thread_id)
        if found is None:
            return
        active = found.record.active
        if active is not None:
            closed = await self._close(RunRef(thread_id, active.run_id))
            await self._apply(thread_id, closed.effects)
            found = await self._records.find_thread(thread_id)
        if found is not None:
            await self._apply(thread_id, outstanding(found.record))


async def _given(known: Versioned[_Record]) -> Versioned[_Record] | None:
    return known


def _ended(run: RunRecord, terminal: StreamEvent) -> RunRecord:
    """Return the record of a run whose log is sealed; the same one when it is final already."""
    if run.status.is_final:
        return run
    return run.ended(outcome_of(terminal), datetime.fromisoformat(terminal.created_at))
