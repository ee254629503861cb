"""The rules by which a thread lets runs in, at once or when their time has come."""

from typing import assert_never

from runs.asking import give_way
from runs.commands import Admit, BecomeDue
from runs.effects import CreateLog, SetTimer
from runs.errors import QueueFullError, RunConflictError, ThreadNotFoundError
from runs.models import CancelAction, MultitaskStrategy
from runs.thread import ActiveRun, DelayedRun, QueuedRun, ThreadRecord
from runs.turns import Step, changed, effects_of_turn, stop_all


def is_known(thread: ThreadRecord, command: Admit) -> bool:
    """Return whether the run was let in before: the same call again.

    Raises:
        ThreadNotFoundError: The thread is as if it did not exist, for whoever asks.
    """
    if thread.deleting or command.user_id not in (None, thread.user_id):
        raise ThreadNotFoundError(thread.thread_id)
    return thread.has_inflight(command.run_id)


def admit(thread: ThreadRecord, command: Admit) -> Step:
    """Let a new run in; one that only waits for its user is in nobody's way."""
    if not thread.inflight_ids:
        return _place(thread, command)
    is_free = thread.inflight_ids == (_asking(thread),)
    match command.strategy:
        case MultitaskStrategy.REJECT:
            if not is_free:
                raise RunConflictError(thread.thread_id, thread.inflight_ids[0])
        case MultitaskStrategy.ENQUEUE:
            waits = thread.active is not None or command.due is not None
            if waits and not is_free and thread.waiting_count >= command.max_queued:
                raise QueueFullError(thread.thread_id, command.max_queued)
        case MultitaskStrategy.INTERRUPT | MultitaskStrategy.ROLLBACK:
            return _replace(thread, command)
        case _:
            assert_never(command.strategy)
    return _place(thread, command)


def _asking(thread: ThreadRecord) -> str | None:
    """Return the active run when it waits for its user: it gives way to whoever comes."""
    return None if thread.active is None or thread.question is None else thread.active.run_id


def _replace(thread: ThreadRecord, command: Admit) -> Step:
    # Those that wait are about to leave; the bound only counts how many may be about to.
    limit = 2 * command.max_queued + 1
    if thread.waiting_count >= limit:
        raise QueueFullError(thread.thread_id, limit)
    stopping, stops = stop_all(thread, CancelAction(command.strategy.value))
    placed, effects = _place(stopping, command)
    return placed, (*effects, *stops)


def _place(thread: ThreadRecord, command: Admit) -> Step:
    run_id, executor = command.run_id, command.executor
    if command.due is not None:
        delayed = DelayedRun(run_id=run_id, executor=executor, due=command.due)
        return (
            changed(thread, command.at, delayed=(*thread.delayed, delayed)),
            (CreateLog(run_id), SetTimer(run_id, command.due)),
        )
    if thread.active is not None:
        queued = QueuedRun(run_id=run_id, executor=executor)
        placed, stops = give_way(changed(thread, command.at, queue=(*thread.queue, queued)))
        return placed, (CreateLog(run_id), *stops)
    active = ActiveRun(run_id=run_id, executor=executor, since=command.at)
    placed = changed(thread, command.at, active=active)
    return placed, effects_of_turn(placed, active)


def become_due(thread: ThreadRecord, command: BecomeDue) -> Step:
    """Put a run whose time has come in line; one that has left, or is leaving, stays as it is."""
    run = thread.find_delayed(command.run_id)
    if run is None or run.run_id in thread.cancels:
        return thread, ()
    delayed = tuple(each for each in thread.delayed if each is not run)
    rest = changed(thread, command.at, delayed=delayed)
    if thread.active is not None:
        queued = QueuedRun(run_id=run.run_id, executor=run.executor)
        return give_way(changed(rest, command.at, queue=(*thread.queue, queued)))
    active = ActiveRun(run_id=run.run_id, executor=run.executor, since=command.at)
    placed = changed(rest, command.at, active=active)
    return placed, effects_of_turn(placed, active)
