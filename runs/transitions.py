"""The rules of run control: (thread, command) -> (thread, effects), pure and total.

At most one run of a thread is active, waiting runs keep their order, a finished run never comes
back, and the first wish to cancel stays. A run that is rolled back leaves nothing in the thread,
and finishes only once its record is removed. A command that changes nothing returns the same
thread object. Effects follow the commit; each is idempotent, and :func:`outstanding` derives again
what a crash may have left undone.
"""

from datetime import datetime
from typing import Any, TypeAlias, assert_never

from runs.commands import (
    Admit,
    Command,
    Delete,
    Finish,
    Forget,
    MergeMetadata,
    Release,
    RequestCancel,
    Start,
)
from runs.effects import CreateLog, Effect, EnqueueJob, Nudge, Retire, RollBack, Seal
from runs.errors import (
    QueueFullError,
    RunConflictError,
    RunNotFoundError,
    RunNotStartableError,
    ThreadNotFoundError,
)
from runs.models import CancelAction, MultitaskStrategy, RunStatus
from runs.thread import ActiveRun, LastRun, OutputsRef, QueuedRun, ThreadRecord

Step: TypeAlias = tuple[ThreadRecord, tuple[Effect, ...]]


def transition(thread: ThreadRecord, command: Command) -> Step:
    """Decide one command.

    Returns:
        The thread as it shall be committed (the same object when nothing changes), and what to
        do after the commit, in order.

    Raises:
        RunsError: The rules refuse the command; the thread stays as it is.
    """
    match command:
        case Admit():
            return _admit(thread, command)
        case Start() | Release():
            return _execute(thread, command)
        case RequestCancel():
            return _request_cancel(thread, command)
        case Finish():
            return _finish(thread, command)
        case Forget() | MergeMetadata() | Delete():
            return _change(thread, command)
        case _:
            assert_never(command)


def _change(thread: ThreadRecord, command: Forget | MergeMetadata | Delete) -> Step:
    match command:
        case Forget():
            return _forget(thread, command)
        case MergeMetadata():
            return _merge_metadata(thread, command)
        case Delete():
            return _delete(thread, command)
        case _:
            assert_never(command)


def outstanding(thread: ThreadRecord) -> tuple[Effect, ...]:
    """Return the effects that the thread's state still asks for; doing one twice is harmless."""
    effects: list[Effect] = []
    active = thread.active
    if active is not None and not active.is_held:
        effects.extend(_effects_of_turn(thread, active))
    elif active is not None and active.run_id in thread.cancels:
        effects.append(Nudge(active.run_id))
    effects.extend(
        Seal(run.run_id) if run.run_id in thread.cancels else CreateLog(run.run_id)
        for run in thread.queue
    )
    return (*effects, *_retirement(thread))


def _admit(thread: ThreadRecord, command: Admit) -> Step:
    if thread.deleting or command.user_id not in (None, thread.user_id):
        raise ThreadNotFoundError(thread.thread_id)
    if thread.has_inflight(command.run_id):
        return thread, outstanding(thread)
    if thread.active is None:
        active = ActiveRun(run_id=command.run_id, executor=command.executor, since=command.at)
        return (
            _changed(thread, command.at, active=active),
            (CreateLog(command.run_id), EnqueueJob(command.run_id, command.executor)),
        )
    queued = QueuedRun(run_id=command.run_id, executor=command.executor)
    queue = (*thread.queue, queued)
    match command.strategy:
        case MultitaskStrategy.REJECT:
            raise RunConflictError(thread.thread_id, thread.active.run_id)
        case MultitaskStrategy.ENQUEUE:
            if len(thread.queue) >= command.max_queued:
                raise QueueFullError(thread.thread_id, command.max_queued)
            return _changed(thread, command.at, queue=queue), (CreateLog(command.run_id),)
        case MultitaskStrategy.INTERRUPT | MultitaskStrategy.ROLLBACK:
            return _replace(thread, command, queue)
        case _:
            assert_never(command.strategy)


def _replace(thread: ThreadRecord, command: Admit, queue: tuple[QueuedRun, ...]) -> Step:
    # Those that wait are about to leave; the bound only counts how many may be about to.
    limit = 2 * command.max_queued + 1
    if len(thread.queue) >= limit:
        raise QueueFullError(thread.thread_id, limit)
    stopping, stops = _stop_all(thread, CancelAction(command.strategy.value))
    return _changed(stopping, command.at, queue=queue), (CreateLog(command.run_id), *stops)


def _stop_all(thread: ThreadRecord, action: CancelAction) -> Step:
    wishes = {**dict.fromkeys(thread.inflight_ids, action), **thread.cancels}
    # The active run last: the runs behind it must not get their turn in between.
    stops = tuple(_effect_of_wish(thread, run_id) for run_id in reversed(thread.inflight_ids))
    return thread.model_copy(update={"cancels": wishes}), stops


def _execute(thread: ThreadRecord, command: Start | Release) -> Step:
    return _start(thread, command) if isinstance(command, Start) else _release(thread, command)


def _start(thread: ThreadRecord, command: Start) -> Step:
    active = thread.find_active(command.run_id)
    if active is None:
        raise RunNotStartableError(command.run_id, "it has finished, or it is not its turn")
    if command.run_id in thread.cancels:
        raise RunNotStartableError(command.run_id, "it is cancelled")
    if active.worker == command.worker and active.attempt == command.attempt:
        return thread, ()
    if command.attempt <= active.attempt:
        raise RunNotStartableError(command.run_id, f"attempt {active.attempt} has begun")
    begun = {
        "started": True,
        "attempt": command.attempt,
        "worker": command.worker,
        "released": False,
        "losses": active.losses + active.is_held,
    }
    return _changed(thread, command.at, active=active.model_copy(update=begun)), ()


def _release(thread: ThreadRecord, command: Release) -> Step:
    active = thread.find_active(command.run_id)
    if active is None or active.attempt != command.attempt or not active.is_held:
        return thread, ()
    return _changed(thread, command.at, active=active.model_copy(update={"released": True})), ()


def _request_cancel(thread: ThreadRecord, command: RequestCancel) -> Step:
    if not thread.has_inflight(command.run_id):
        raise RunNotFoundError(command.run_id)
    effects = (_effect_of_wish(thread, command.run_id),)
    if command.run_id in thread.cancels:
        return thread, effects
    wishes = {**thread.cancels, command.run_id: command.action}
    return _changed(thread, command.at, cancels=wishes), effects


def _effect_of_wish(thread: ThreadRecord, run_id: str) -> Effect:
    is_executed = thread.active is not None and thread.active.has_begun(run_id)
    return Nudge(run_id) if is_executed else Seal(run_id)


def _finish(thread: ThreadRecord, command: Finish) -> Step:
    if not thread.has_inflight(command.run_id):
        return thread, ()
    changes: dict[str, Any] = {
        "cancels": {run: wish for run, wish in thread.cancels.items() if run != command.run_id},
    }
    outcome = command.outcome
    if thread.is_rolled_back(command.run_id):
        if not command.is_removed:
            return thread, (RollBack(command.run_id),)
    else:
        run = thread.find_active(command.run_id) or thread.find_queued(command.run_id)
        changes["last"] = LastRun(
            run_id=command.run_id,
            status=outcome.status,
            executor=None if run is None else run.executor,
            is_interrupted=outcome.is_interrupted,
        )
        if outcome.status is RunStatus.SUCCESS and outcome.outputs is not None:
            changes["outputs"] = OutputsRef(run_id=command.run_id, event_id=outcome.outputs)
    return _leave(thread, command, changes)


def _leave(thread: ThreadRecord, command: Finish, changes: dict[str, Any]) -> Step:
    if thread.find_active(command.run_id) is None:
        changes["queue"] = tuple(run for run in thread.queue if run.run_id != command.run_id)
        return _changed(thread, command.at, **changes), ()
    if not thread.queue:
        free = _changed(thread, command.at, active=None, **changes)
        return free, _retirement(free)
    head, *rest = thread.queue
    turn = ActiveRun(run_id=head.run_id, executor=head.executor, since=command.at)
    changed = _changed(thread, command.at, active=turn, queue=tuple(rest), **changes)
    return changed, _effects_of_turn(changed, turn)


def _forget(thread: ThreadRecord, command: Forget) -> Step:
    if thread.outputs is None or thread.outputs.run_id != command.run_id:
        return thread, ()
    return _changed(thread, command.at, outputs=None), ()


def _merge_metadata(thread: ThreadRecord, command: MergeMetadata) -> Step:
    if thread.deleting:
        raise ThreadNotFoundError(thread.thread_id)
    merged = {**thread.metadata, **command.metadata}
    return _changed(thread, command.at, metadata=merged), ()


def _delete(thread: ThreadRecord, command: Delete) -> Step:
    if thread.deleting:
        return thread, outstanding(thread)
    since = command.idle_since
    if since is not None and (thread.inflight_ids or thread.updated_at > since):
        return thread, ()
    stopping, stops = _stop_all(thread, CancelAction.INTERRUPT)
    return _changed(stopping, command.at, deleting=True), (Retire(), *stops)


def _retirement(thread: ThreadRecord) -> tuple[Effect, ...]:
    return (Retire(),) if thread.deleting or thread.is_to_be_removed else ()


def _effects_of_turn(thread: ThreadRecord, turn: ActiveRun) -> tuple[Effect, ...]:
    if turn.run_id in thread.cancels:
        return (Seal(turn.run_id),)
    # The log is there unless a crash came between the commit and the birth; asking is cheap.
    return (CreateLog(turn.run_id), EnqueueJob(turn.run_id, turn.executor))


def _changed(thread: ThreadRecord, at: datetime, **changes: Any) -> ThreadRecord:
    return thread.model_copy(update={"updated_at": at, **changes})
