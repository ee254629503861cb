"""Read from a run's record how its graph is to be called."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, cast
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Send

from runs.models import RunRecord

#: What the graph is always asked for: they tell how it ended, whoever watches.
_NEEDED: Final = frozenset({"values", "updates"})
_EVENTS: Final = "events"
_SERVED_BY_OTHERS: Final = {"messages-tuple": "messages", "*": "values"}
_INTERNAL: Final = "__pregel_"


class Invocation:
    """How one execution of a run calls its graph.

    Attributes:
        config: With the run's identity in ``configurable`` and ``metadata``: checkpoints are
            labelled with the run that wrote them by these.
        given: The input, or a command.
        wanted: The modes whose chunks are published.
        modes: The modes that the graph is asked for.
        has_events: Whether the events of everything inside the graph are wanted.
        subgraphs: Whether chunks of subgraphs are wanted.
    """

    def __init__(self, record: RunRecord, attempt: int) -> None:
        kwargs = record.kwargs
        asked = {_SERVED_BY_OTHERS.get(mode, mode) for mode in kwargs.get("stream_mode") or ()}
        self.has_events = _EVENTS in asked
        self.wanted = frozenset(asked - {_EVENTS})
        self.modes = sorted(self.wanted | _NEEDED)
        self.subgraphs = bool(kwargs.get("stream_subgraphs"))
        self.config = config_of(record, attempt)
        self.given: Any = kwargs.get("input")
        command: dict[str, Any] = kwargs.get("command") or {}
        self.is_answer = command.get("resume") is not None
        if command:
            self.given = command_of(command)
        self._context: dict[str, Any] | None = kwargs.get("context")
        self._options = {
            name: kwargs[name]
            for name in ("interrupt_before", "interrupt_after", "durability")
            if kwargs.get(name) is not None
        }

    def context_for(self, schema: type[Any] | None) -> dict[str, Any] | None:
        """Return the static context; from ``configurable`` where the creator gave none."""
        if self._context is not None or schema is None:
            return self._context
        configurable = self.config["configurable"]
        known = {name: configurable[name] for name in _fields_of(schema) if name in configurable}
        return known or None

    @property
    def options(self) -> dict[str, Any]:
        """Further arguments of the call."""
        return {**self._options, "stream_mode": self.modes, "subgraphs": self.subgraphs}


def config_of(record: RunRecord, attempt: int) -> RunnableConfig:
    """Return the configuration that a run's graph is called with."""
    asked: Mapping[str, Any] = record.kwargs.get("config") or {}
    identity = {
        "run_id": record.run_id,
        "thread_id": record.thread_id,
        "graph_id": record.executor,
        "assistant_id": record.assistant_id,
    }
    configurable = {
        **(asked.get("configurable") or {}),
        **(record.kwargs.get("context") or {}),
        **place_of(record.kwargs),
        **identity,
    }
    if record.user_id is not None:
        configurable["langgraph_auth_user_id"] = record.user_id
    config: RunnableConfig = {
        **cast("RunnableConfig", asked),
        "configurable": without_internals(configurable),
        "metadata": {
            **(asked.get("metadata") or {}),
            **record.metadata,
            **identity,
            "run_attempt": attempt,
        },
    }
    if (tracing_id := _uuid_of(record.run_id)) is not None:
        config["run_id"] = tracing_id
    return config


def without_internals(configurable: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only the engine itself may set."""
    return {name: each for name, each in configurable.items() if not name.startswith(_INTERNAL)}


def place_of(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return where in the thread's history a run begins; nothing means at its newest state."""
    checkpoint: Mapping[str, Any] = kwargs.get("checkpoint") or {}
    names = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")
    place = {name: checkpoint[name] for name in names if checkpoint.get(name) is not None}
    if kwargs.get("checkpoint_id") is not None:
        place["checkpoint_id"] = kwargs["checkpoint_id"]
    return place


def command_of(asked: Mapping[str, Any]) -> Command[Any]:
    """Return a command as its creator wrote it in JSON."""
    goto = asked.get("goto")
    targets = [] if goto is None else goto if isinstance(goto, list) else [goto]
    update = asked.get("update")
    if isinstance(update, list) and update and all(map(_is_pair, update)):
        update = [tuple(pair) for pair in update]
    return Command(
        update=update,
        resume=asked.get("resume"),
        goto=[
            each if isinstance(each, str) else Send(each["node"], each.get("input"))
            for each in targets
        ],
    )


def _is_pair(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)  # noqa: PLR2004 - a pair


def _fields_of(schema: type[Any]) -> tuple[str, ...]:
    if dataclasses.is_dataclass(schema):
        return tuple(each.name for each in dataclasses.fields(schema))
    fields = getattr(schema, "model_fields", None) or getattr(schema, "__annotations__", {})
    return tuple(fields)


def _uuid_of(run_id: str) -> UUID | None:
    try:
        return UUID(run_id)
    except ValueError:
        return None
