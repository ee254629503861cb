"""Show checkpoints and states as the platform does."""

from collections.abc import Mapping
from typing import Any

from langgraph.types import PregelTask, StateSnapshot


def checkpoint_ref(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what names a checkpoint, so that a client can send it back."""
    if not config or "configurable" not in config:
        return None
    configurable = config["configurable"]
    names = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")
    ref = {name: configurable[name] for name in names if configurable.get(name) is not None}
    return (
        {"checkpoint_ns": "", **ref} if "checkpoint_id" in ref or "checkpoint_ns" in ref else None
    )


def shown_checkpoint(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Show a streamed checkpoint: with references in the clients' form beside the engine's."""
    return {
        **payload,
        "checkpoint": checkpoint_ref(payload.get("config")),
        "parent_checkpoint": checkpoint_ref(payload.get("parent_config")),
        "tasks": [_shown_streamed_task(task) for task in payload.get("tasks", ())],
    }


def _shown_streamed_task(task: Mapping[str, Any]) -> dict[str, Any]:
    state = task.get("state")
    if not isinstance(state, Mapping) or "configurable" not in state:
        return dict(task)
    rest = {name: each for name, each in task.items() if name != "state"}
    return {**rest, "checkpoint": checkpoint_ref(state)}


def shown_state(snapshot: StateSnapshot) -> dict[str, Any]:
    """Show the state of a thread at one checkpoint."""
    checkpoint = checkpoint_ref(snapshot.config)
    if checkpoint is not None and "checkpoint_id" not in checkpoint:
        checkpoint = None  # nothing was ever stored
    parent = checkpoint_ref(snapshot.parent_config)
    return {
        "values": snapshot.values,
        "next": list(snapshot.next),
        "tasks": [_shown_task(task) for task in snapshot.tasks],
        "metadata": snapshot.metadata,
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "interrupts": list(snapshot.interrupts),
        "checkpoint_id": None if checkpoint is None else checkpoint["checkpoint_id"],
        "parent_checkpoint_id": None if parent is None else parent.get("checkpoint_id"),
    }


def _shown_task(task: PregelTask) -> dict[str, Any]:
    state = task.state
    return {
        "id": task.id,
        "name": task.name,
        "path": task.path,
        "error": None if task.error is None else repr(task.error),
        "interrupts": list(task.interrupts),
        "checkpoint": checkpoint_ref(state) if isinstance(state, Mapping) else None,
        "state": shown_state(state) if isinstance(state, StateSnapshot) else None,
        "result": task.result,
    }
