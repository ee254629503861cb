"""What a new run and a new thread are made of, and what of its specification is not available."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from bridge import check_id, new_id
from runs.catalog import Assistant
from runs.errors import NotNewestStateError, UnsupportedOptionError, UnsupportedStrategyError
from runs.models import MultitaskStrategy, RunRecord, RunSpec, now
from runs.thread import ThreadRecord
from runs.time_to_live import TimeToLive

#: What only a graph can honour.
_OF_GRAPHS: Final = ("interrupt_before", "interrupt_after")
#: Where in the thread's history a run begins; a function begins at its newest state.
_PLACE: Final = ("checkpoint", "checkpoint_id")
#: Says how often checkpoints are written; a function has none, and so nothing to leave out.
_DURABILITY: Final = "durability"
#: What the configuration of a graph's run may hold; a function gets whatever was sent.
_CONFIG_OF_GRAPHS: Final = frozenset(
    {"configurable", "max_concurrency", "metadata", "recursion_limit", "run_name", "tags"}
)


def refuse_unavailable(spec: RunSpec, assistant: Assistant) -> None:
    """Check that no option is set that would be ignored.

    Raises:
        UnsupportedOptionError: One is; the error names it.
        UnsupportedStrategyError: The multitask strategy is none.
    """
    if spec.multitask_strategy not in list(MultitaskStrategy):
        raise UnsupportedStrategyError(spec.multitask_strategy)
    for option in () if assistant.is_graph else _OF_GRAPHS:
        if getattr(spec, option) is not None:
            raise UnsupportedOptionError(option)
    refuse_config(spec.config, assistant)


def refuse_config(config: Mapping[str, Any], assistant: Assistant) -> None:
    """Check that no part of a configuration is set that would be ignored.

    Raises:
        UnsupportedOptionError: One is; the error names it.
    """
    for name in sorted(config.keys() - _CONFIG_OF_GRAPHS) if assistant.is_graph else ():
        raise UnsupportedOptionError(f"config.{name}")


def find_wrong_place(
    spec: RunSpec, assistant: Assistant, thread: ThreadRecord
) -> NotNewestStateError | None:
    """Return why a function's run cannot begin where it is said to; ``None`` if it can."""
    place = spec.checkpoint or {}
    checkpoint_id = spec.checkpoint_id or place.get("checkpoint_id")
    newest = None if thread.outputs is None else thread.outputs.event_id
    is_newest = checkpoint_id in (None, newest) and not place.get("checkpoint_ns")
    if assistant.is_graph or is_newest:
        return None
    return NotNewestStateError(thread.thread_id, str(checkpoint_id)[:256])


def new_thread(
    thread_id: str | None,
    metadata: Mapping[str, Any] | None,
    user_id: str | None,
    ttl: TimeToLive | None = None,
) -> ThreadRecord:
    """Make the record of a new thread; ``None`` makes an id that no other process makes."""
    created = now()
    return ThreadRecord(
        thread_id=new_id() if thread_id is None else check_id("thread_id", thread_id),
        user_id=user_id,
        metadata=dict(metadata or {}),
        ttl=ttl,
        created_at=created,
        updated_at=created,
    )


def new_record(spec: RunSpec, assistant: Assistant, run_id: str, thread: ThreadRecord) -> RunRecord:
    """Make the record of a new run; it belongs to the owner of its thread, whoever asked."""
    created = now()
    delay = timedelta(seconds=spec.after_seconds or 0)
    options = {name: getattr(spec, name) for name in ("command", *_OF_GRAPHS, *_PLACE, _DURABILITY)}
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
            "config": spec.config,
            "context": spec.context,
            "stream_mode": list(spec.stream_mode),
            "stream_subgraphs": spec.stream_subgraphs,
            **{name: option for name, option in options.items() if option is not None},
        },
        due_at=created + delay if delay else None,
        created_at=created,
        updated_at=created,
    )


def spec_again(run: RunRecord) -> RunSpec:
    """Make the specification of a run that is given what ``run`` was given.

    It goes to the same thread, unless that one was made for ``run`` alone: then to one of its own.
    It begins at once, under no idempotency key, and nobody owns it yet.
    """
    is_alone = run.on_completion == "delete"
    return RunSpec(
        assistant_id=run.assistant_id or run.executor,
        thread_id=None if is_alone else run.thread_id,
        metadata=run.metadata,
        multitask_strategy=run.multitask_strategy,
        on_disconnect=run.on_disconnect,
        webhook=run.webhook,
        **run.kwargs,
    )
