"""The rules by which a run asks its user something, and is answered.

A run that waits for its user does not hold up its thread: as soon as another run is in line, it is
stopped as interrupted.
"""

from runs.commands import Ask, GiveAnswer
from runs.effects import Nudge
from runs.errors import NothingToResumeError, RunNotStartableError, ThreadNotFoundError
from runs.models import CancelAction
from runs.thread import Answer, ThreadRecord
from runs.turns import Step, changed


def ask(thread: ThreadRecord, command: Ask) -> Step:
    """Let the active run wait for its user, or wait no longer."""
    active = thread.find_active(command.run_id)
    if active is None or active.attempt != command.attempt:
        raise RunNotStartableError(command.run_id, "another attempt has begun, or it has finished")
    if command.question is None and active.question is None:
        return thread, ()
    is_new = command.question is not None
    update = {"question": command.question, "answer": None if is_new else active.answer}
    asking = changed(thread, command.at, active=active.model_copy(update=update))
    return give_way(asking)


def give_answer(thread: ThreadRecord, command: GiveAnswer) -> Step:
    """Let the active run go on with an answer."""
    active, question = thread.active, thread.question
    if thread.deleting or command.user_id not in (None, thread.user_id):
        raise ThreadNotFoundError(thread.thread_id)
    if active is None or question is None or active.executor != command.executor:
        raise NothingToResumeError(thread.thread_id)
    answer = Answer(input_id=question.input_id, value=question.pick(command.value))
    answered = active.model_copy(update={"question": None, "answer": answer})
    return changed(thread, command.at, active=answered), (Nudge(active.run_id),)


def give_way(thread: ThreadRecord) -> Step:
    """Stop an active run that waits for its user while others wait in line."""
    active = thread.active
    if active is None or thread.question is None or not thread.queue:
        return thread, ()
    wishes = {**thread.cancels, active.run_id: CancelAction.INTERRUPT}
    return thread.model_copy(update={"cancels": wishes}), (Nudge(active.run_id),)
