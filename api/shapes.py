"""What clients get to see of threads, runs and assistants, in the LangGraph platform's form."""

import re
from collections.abc import Mapping
from typing import Any, Final

from api.answer_schemas import (
    AssistantShown,
    Drawing,
    FaultShown,
    InterruptShown,
    RunShown,
    StateShown,
    TaskShown,
    ThreadShown,
    TtlShown,
)
from api.questions import asked_in, without_questions
from runs import (
    ActiveRun,
    Assistant,
    AssistantRecord,
    AssistantVersion,
    Question,
    RunFault,
    RunRecord,
    ThreadRecord,
    ThreadState,
    ThreadStatus,
)

REDACTED: Final = "**********"
_SECRET_NAME: Final = re.compile(
    r"(api_?key|secret|password|passwd|token|authorization|credentials?)$", re.IGNORECASE
)

#: Assistants are declared, not created: they have no date of their own.
_DECLARED_AT: Final = "1970-01-01T00:00:00+00:00"


def redacted(value: Any) -> Any:
    """Return JSON content with the values of names that look like secrets masked."""
    if isinstance(value, Mapping):
        return {
            name: REDACTED if _SECRET_NAME.search(name) else redacted(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(inner) for inner in value]
    return value


def run_shape(run: RunRecord) -> RunShown:
    """Show a run; its input is left out, because answers that list runs must stay small."""
    kwargs = {name: value for name, value in run.kwargs.items() if name != "input"}
    return {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "assistant_id": run.assistant_id,
        "created_at": run.created_at.isoformat(),
        "updated_at": run.updated_at.isoformat(),
        "status": run.status,
        "metadata": redacted(run.metadata),
        "kwargs": redacted(kwargs),
        "multitask_strategy": run.multitask_strategy,
        "model_name": run.model_name,
        "usage": None if run.usage is None else run.usage.model_dump(),
        "graph_id": run.executor,
        "user_id": run.user_id,
        "attempt": run.attempt,
        "worker": run.worker,
        "error": None if run.error is None else _fault_shape(run.error),
        "started_at": None if run.started_at is None else run.started_at.isoformat(),
        "ended_at": None if run.ended_at is None else run.ended_at.isoformat(),
    }


def _fault_shape(fault: RunFault) -> FaultShown:
    return {"error": fault.error, "message": fault.message}


def thread_shape(thread: ThreadRecord, values: Any = None) -> ThreadShown:
    """Show a thread with the final values of its last successful run.

    What a graph asks stands in its values; it is shown apart, by the question's id, for as long as
    the thread waits for the answer.
    """
    updated_at = thread.updated_at.isoformat()
    asked: list[InterruptShown] = []
    if thread.question is not None:
        asked = _interrupts(thread.question)
    elif thread.status is ThreadStatus.INTERRUPTED:
        asked = asked_in(values)
    return {
        "thread_id": thread.thread_id,
        "created_at": thread.created_at.isoformat(),
        "updated_at": updated_at,
        "state_updated_at": updated_at,
        "metadata": redacted(thread.metadata),
        "status": thread.status,
        "config": {},
        "values": without_questions(values),
        "interrupts": {each["id"]: [each] for each in asked},
        "error": None,
    }


def ttl_shape(thread: ThreadRecord) -> TtlShown | None:
    """Show how long a thread stays by a time of its own; ``None`` when it has none.

    ``expires_at`` is ``None`` once its history is removed, until it changes.
    """
    ttl, expires_at = thread.ttl, thread.expires_at
    if ttl is None:
        return None
    return {
        "strategy": ttl.strategy,
        "ttl_minutes": ttl.ttl_s / 60,
        "expires_at": None if expires_at is None else expires_at.isoformat(),
    }


def state_shape(state: ThreadState) -> StateShown:
    """Show a thread's state, and what its active run asks; of a fresh thread all is null or empty.

    The checkpoint of a function's thread is the event that holds its values: clients take a state
    without a checkpoint for none at all.
    """
    question, active = state.thread.question, state.thread.active
    asked = [] if question is None else _interrupts(question)
    checkpoint = None if state.event_id is None else _checkpoint(state)
    return {
        "values": {} if state.values is None else state.values,
        "next": [active.executor] if active and question else [],
        "tasks": [_task(active, question)] if active and question else [],
        "metadata": None,
        "created_at": None if state.values is None else state.thread.updated_at.isoformat(),
        "checkpoint": checkpoint,
        "parent_checkpoint": None,
        "interrupts": asked,
        "checkpoint_id": state.event_id,
        "parent_checkpoint_id": None,
    }


def _interrupts(question: Question) -> list[InterruptShown]:
    return [{"value": question.prompt, "id": question.input_id}]


def _task(active: ActiveRun, question: Question) -> TaskShown:
    return {
        "id": active.run_id,
        "name": active.executor,
        "error": None,
        "interrupts": _interrupts(question),
        "checkpoint": None,
        "state": None,
        "result": None,
    }


def _checkpoint(state: ThreadState) -> dict[str, Any]:
    return {
        "thread_id": state.thread.thread_id,
        "checkpoint_ns": "",
        "checkpoint_id": state.event_id,
        "checkpoint_map": {},
    }


def assistant_shape(assistant: Assistant) -> AssistantShown:
    """Show an assistant."""
    return {
        "assistant_id": assistant.assistant_id,
        "graph_id": assistant.name,
        "name": assistant.name,
        "config": {},
        "context": {},
        "metadata": {"created_by": "system"},
        "version": 1,
        "description": assistant.description or None,
        "created_at": _DECLARED_AT,
        "updated_at": _DECLARED_AT,
    }


def made_assistant_shape(
    made: AssistantRecord, version: AssistantVersion | None = None
) -> AssistantShown:
    """Show an assistant that a client made, as it is now or in one of its versions."""
    shown = made.current if version is None else version
    updated_at = made.updated_at if version is None else version.created_at
    return {
        "assistant_id": made.assistant_id,
        "graph_id": shown.graph_id,
        "name": shown.name,
        "config": redacted(shown.config),
        "context": redacted(shown.context),
        "metadata": redacted(shown.metadata),
        "version": shown.version,
        "description": shown.description,
        "created_at": made.created_at.isoformat(),
        "updated_at": updated_at.isoformat(),
    }


def function_drawing(assistant: Assistant) -> Drawing:
    """Draw a function as a graph of one node."""
    start, end = "__start__", "__end__"
    node = {"id": assistant.name, "type": "runnable", "data": {"name": assistant.name}}
    ends = [{"id": each, "type": "schema", "data": each} for each in (start, end)]
    return {
        "nodes": [ends[0], node, ends[1]],
        "edges": [
            {"source": start, "target": assistant.name},
            {"source": assistant.name, "target": end},
        ],
    }
