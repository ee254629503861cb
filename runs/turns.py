"""Parts of the rules that several commands share: whose turn it is, and how runs are stopped."""

from datetime import datetime
from typing import Any, TypeAlias

from runs.effects import CreateLog, Effect, EnqueueJob, Nudge, Retire, Seal
from runs.models import CancelAction
from runs.thread import ActiveRun, ThreadRecord

Step: TypeAlias = tuple[ThreadRecord, tuple[Effect, ...]]


def changed(thread: ThreadRecord, at: datetime, **changes: Any) -> ThreadRecord:
    """Return the thread with ``changes``, made at a time."""
    return thread.model_copy(update={"updated_at": at, **changes})


def effects_of_turn(thread: ThreadRecord, turn: ActiveRun) -> tuple[Effect, ...]:
    """Return what brings the active run to a worker, or to its end when it is cancelled."""
    if turn.run_id in thread.cancels:
        return (Seal(turn.run_id),)
    # The log is there unless a crash came between the commit and the birth; asking is cheap.
    return (CreateLog(turn.run_id), EnqueueJob(turn.run_id, turn.executor))


def effect_of_wish(thread: ThreadRecord, run_id: str) -> Effect:
    """Return what stops a run that is cancelled."""
    is_executed = thread.active is not None and thread.active.has_begun(run_id)
    return Nudge(run_id) if is_executed else Seal(run_id)


def stop_all(thread: ThreadRecord, action: CancelAction) -> Step:
    """Wish every run of the thread to stop; an earlier wish stays."""
    wishes = {**dict.fromkeys(thread.inflight_ids, action), **thread.cancels}
    # The active run last: the runs behind it must not get their turn in between.
    stops = tuple(effect_of_wish(thread, run_id) for run_id in reversed(thread.inflight_ids))
    return thread.model_copy(update={"cancels": wishes}), stops


def retirement(thread: ThreadRecord) -> tuple[Effect, ...]:
    """Return what removes a thread of which nothing shall remain."""
    return (Retire(),) if thread.deleting or thread.is_to_be_removed else ()
