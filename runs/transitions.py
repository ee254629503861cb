"""The rules of run control: (thread, command) -> (thread, effects), pure and total.

At most one run of a thread is active, waiting runs keep their order, a finished run never comes
back, and the first wish to cancel stays. A run that is rolled back leaves nothing in the thread,
and finishes only once its record is removed. A command that changes nothing returns the same
thread object. Effects follow the commit; each is idempotent, and :func:`outstanding` derives again
what a crash may have left undone.
"""

from datetime import datetime
from typing import Any, assert_never

from runs.admitting import admit, become_due, is_known
from runs.asking import ask, give_answer
from runs.commands import (
    Admit,
    Amend,
    Ask,
    BecomeDue,
    Command,
    Delete,
    Finish,
    Forget,
    GiveAnswer,
    NoteTrimmed,
    Release,
    RequestCancel,
    Start,
)
from runs.effects import ClearTimer, CreateLog, Effect, Nudge, Retire, RollBack, Seal, SetTimer
from runs.errors import RunNotFoundError, RunNotStartableError, ThreadNotFoundError
from runs.models import CancelAction, RunStatus
from runs.thread import ActiveRun, LastRun, OutputsRef, ThreadRecord
from runs.turns import Step, changed, effect_of_wish, effects_of_turn, retirement, stop_all


def transition(thread: ThreadRecord, command: Command) -> Step:
    """Decide one command.

    Returns:
        The thread as it shall be committed (the same object when nothing changes), and what to
        do after the commit, in order.

    Raises:
        RunsError: The rules refuse the command; the thread stays as it is.
    """
    match command:
        case Admit() | BecomeDue():
            return _let_in(thread, command)
        case Start() | Release():
            return _execute(thread, command)
        case Ask() | GiveAnswer():
            return _talk(thread, command)
        case RequestCancel():
            return _request_cancel(thread, command)
        case Finish():
            return _finish(thread, command)
        case Forget() | Amend() | NoteTrimmed() | Delete():
            return _change(thread, command)
        case _:
            assert_never(command)


def _let_in(thread: ThreadRecord, command: Admit | BecomeDue) -> Step:
    if isinstance(command, BecomeDue):
        return become_due(thread, command)
    if is_known(thread, command):
        return thread, outstanding(thread)
    return admit(thread, command)


def _talk(thread: ThreadRecord, command: Ask | GiveAnswer) -> Step:
    return ask(thread, command) if isinstance(command, Ask) else give_answer(thread, command)


def _change(thread: ThreadRecord, command: Forget | Amend | NoteTrimmed | Delete) -> Step:
    match command:
        case Forget():
            return _forget(thread, command)
        case Amend():
            return _amend(thread, command)
        case NoteTrimmed():
            return _note_trimmed(thread, command)
        case Delete():
            return _delete(thread, command)
        case _:
            assert_never(command)


def outstanding(thread: ThreadRecord) -> tuple[Effect, ...]:
    """Return the effects that the thread's state still asks for; doing one twice is harmless."""
    effects: list[Effect] = []
    active = thread.active
    if active is not None and not active.is_held:
        effects.extend(effects_of_turn(thread, active))
    elif active is not None and active.run_id in thread.cancels:
        effects.append(Nudge(active.run_id))
    effects.extend(
        Seal(run.run_id) if run.run_id in thread.cancels else CreateLog(run.run_id)
        for run in thread.queue
    )
    for delayed in thread.delayed:
        if delayed.run_id in thread.cancels:
            effects.append(Seal(delayed.run_id))
        else:
            effects += (CreateLog(delayed.run_id), SetTimer(delayed.run_id, delayed.due))
    return (*effects, *retirement(thread))


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
        # What the attempt before it asked was asked by nobody who still waits.
        "question": None,
        "answer": None,
    }
    return changed(thread, command.at, active=active.model_copy(update=begun)), ()


def _release(thread: ThreadRecord, command: Release) -> Step:
    active = thread.find_active(command.run_id)
    if active is None or active.attempt != command.attempt or not active.is_held:
        return thread, ()
    return changed(thread, command.at, active=active.model_copy(update={"released": True})), ()


def _request_cancel(thread: ThreadRecord, command: RequestCancel) -> Step:
    if not thread.has_inflight(command.run_id):
        raise RunNotFoundError(command.run_id)
    effects = (effect_of_wish(thread, command.run_id),)
    if command.run_id in thread.cancels:
        return thread, effects
    wishes = {**thread.cancels, command.run_id: command.action}
    return changed(thread, command.at, cancels=wishes), effects


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
        return _leave_line(thread, command, changes)
    if not thread.queue:
        free = changed(thread, command.at, active=None, **changes)
        return free, retirement(free)
    head, *rest = thread.queue
    turn = ActiveRun(run_id=head.run_id, executor=head.executor, since=command.at)
    moved = changed(thread, command.at, active=turn, queue=tuple(rest), **changes)
    return moved, effects_of_turn(moved, turn)


def _leave_line(thread: ThreadRecord, command: Finish, changes: dict[str, Any]) -> Step:
    run_id = command.run_id
    changes["queue"] = tuple(run for run in thread.queue if run.run_id != run_id)
    changes["delayed"] = tuple(run for run in thread.delayed if run.run_id != run_id)
    rest = changed(thread, command.at, **changes)
    if thread.find_delayed(run_id) is None:
        return rest, ()
    return rest, (ClearTimer(run_id), *retirement(rest))


def _forget(thread: ThreadRecord, command: Forget) -> Step:
    if thread.outputs is None or thread.outputs.run_id != command.run_id:
        return thread, ()
    return changed(thread, command.at, outputs=None), ()


def _amend(thread: ThreadRecord, command: Amend) -> Step:
    if thread.deleting:
        raise ThreadNotFoundError(thread.thread_id)
    merged = {**thread.metadata, **command.metadata}
    return changed(thread, command.at, metadata=merged, ttl=command.ttl or thread.ttl), ()


def _note_trimmed(thread: ThreadRecord, command: NoteTrimmed) -> Step:
    if thread.deleting or not _is_idle_since(thread, command.idle_since):
        return thread, ()
    return thread.model_copy(update={"trimmed_at": command.at}), ()


def _is_idle_since(thread: ThreadRecord, since: datetime) -> bool:
    return not thread.inflight_ids and thread.updated_at <= since


def _delete(thread: ThreadRecord, command: Delete) -> Step:
    if thread.deleting:
        return thread, outstanding(thread)
    since = command.idle_since
    if since is not None and not _is_idle_since(thread, since):
        return thread, ()
    stopping, stops = stop_all(thread, CancelAction.INTERRUPT)
    return changed(stopping, command.at, deleting=True), (Retire(), *stops)
