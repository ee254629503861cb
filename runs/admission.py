"""What a new run and a new thread are made of, and what of its specification is not available."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from bridge import check_id, new_id
from runs.catalog import Assistant
from runs.errors import UnsupportedOptionError, UnsupportedStrategyError
from runs.models import MultitaskStrategy, RunRecord, RunSpec, now
from runs.thread import ThreadRecord

_NOT_AVAILABLE: Final = (
    "interrupt_before",
    "interrupt_after",
    "checkpoint",
    "durability",
)


def refuse_unavailable(spec: RunSpec) -> None:
    """Check that no option is set that would be ignored.

    Raises:
        UnsupportedOptionError: One is; the error names it.
        UnsupportedStrategyError: The multitask strategy is none.
    """
    if spec.multitask_strategy not in list(MultitaskStrategy):
        raise UnsupportedStrategyError(spec.multitask_strategy)
    for option in _NOT_AVAILABLE:
        if getattr(spec, option) is not None:
            raise UnsupportedOptionError(option)


def new_thread(
    thread_id: str | None, metadata: Mapping[str, Any] | None, user_id: str | None
) -> ThreadRecord:
    """Make the record of a new thread; ``None`` makes an id that no other process makes."""
    created = now()
    return ThreadRecord(
        thread_id=new_id() if thread_id is None else check_id("thread_id", thread_id),
        user_id=user_id,
        metadata=dict(metadata or {}),
        created_at=created,
        updated_at=created,
    )


def new_record(spec: RunSpec, assistant: Assistant, run_id: str, thread: ThreadRecord) -> RunRecord:
    """Make the record of a new run; it belongs to the owner of its thread, whoever asked."""
    created = now()
    delay = timedelta(seconds=spec.after_seconds or 0)
    return RunRecord(
        run_id=run_id,
        thread_id=thread.thread_id,
        assistant_id=assistant.assistant_id,
        executor=assistant.name,
        user_id=thread.user_id,
        on_disconnect=spec.on_disconnect,
        on_completion=spec.on_completion if spec.thread_id is None else "keep",
        multitask_strategy=spec.multitask_strategy,
        metadata=spec.metadata,
        webhook=spec.webhook,
        kwargs={
            "input": spec.input,
            "command": spec.command,
            "config": spec.config,
            "context": spec.context,
            "stream_mode": list(spec.stream_mode),
            "stream_subgraphs": spec.stream_subgraphs,
        },
        due_at=created + delay if delay else None,
        created_at=created,
        updated_at=created,
    )
