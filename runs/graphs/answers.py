"""Answer what gateways ask about a graph: states of threads, updates, schemas, its drawing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp, InvalidUpdateError
from langgraph.types import StateSnapshot, StateUpdate

from runs.errors import (
    AssistantLoadError,
    CheckpointNotFoundError,
    RunsError,
    UnreadableRecordError,
    UnsupportedOptionError,
)
from runs.fields import selected
from runs.graph_questions import GraphQuestion, refusal
from runs.graphs.checkpoints import checkpoint_ref, shown_state
from runs.graphs.description import drawing_of, schemas_of, subgraph_schemas_of
from runs.graphs.invocation import command_of, place_of, without_internals
from runs.graphs.persistence import Equipment, Persistence
from runs.graphs.plain_json import encode_plain
from runs.graphs.source import Access, Graph, GraphSource

_LOG = logging.getLogger("jetrun.graphs")

_ACCESS: Final[Mapping[str, Access]] = MappingProxyType(
    {
        "state": "threads.read",
        "history": "threads.read",
        "update": "threads.update",
        "supersteps": "threads.update",
    }
)
#: What the receiver makes the error again from.
_FACTS: Final[Mapping[type[RunsError], tuple[str, ...]]] = MappingProxyType(
    {
        AssistantLoadError: ("function", "reason"),
        CheckpointNotFoundError: ("thread_id", "checkpoint_id"),
        UnsupportedOptionError: ("option",),
    }
)
#: What a graph raises for an update that does not suit it.
_REFUSALS = (InvalidUpdateError, ValueError, TypeError, KeyError, AttributeError)


class GraphAnswers:
    """Answers for one graph.

    Args:
        name: What the graph is called.
        source: Gives it.
        persistence: Returns where its checkpoints are.
    """

    def __init__(
        self, name: str, source: GraphSource, persistence: Callable[[], Persistence]
    ) -> None:
        self._name = name
        self._source = source
        self._persistence = persistence

    async def answer(self, content: bytes) -> bytes:
        """Answer one question; whatever goes wrong is told in the answer."""
        try:
            question = GraphQuestion.decode(content)
            return encode_plain(await self._document(question))
        except UnreadableRecordError:
            return refusal("graph-failed", "the question comes from another version of jetrun")
        except tuple(_FACTS) as exc:
            return refusal(exc.code, *(getattr(exc, fact) for fact in _FACTS[type(exc)]))
        except _RefusedError as exc:
            return refusal("state-update", str(exc))
        except asyncio.CancelledError:
            raise
        except (Exception, GraphBubbleUp) as exc:  # noqa: BLE001 - the border to user code, which may raise anything
            facts = {"graph": self._name, "error": type(exc).__name__}
            _LOG.warning("graph.question_failed", extra=facts)
            return refusal("graph-failed", f"{type(exc).__name__}: {exc}")

    async def _document(self, question: GraphQuestion) -> Any:
        config = _config_of(question, self._name)
        access = _ACCESS.get(question.wants, "assistants.read")
        equipment = self._persistence().for_question(question.user_id)
        if question.wants in ("copy", "prune"):
            return await _tend(equipment, question)
        async with self._source.opened(access, config, equipment) as graph:
            of_thread = _OF_THREADS.get(question.wants)
            if of_thread is not None:
                return await of_thread(graph, question, config)
            match question.wants:
                case "schemas":
                    return {"graph_id": self._name, **schemas_of(graph)}
                case "drawing":
                    return drawing_of(graph, xray=question.xray)
                case _:
                    return subgraph_schemas_of(
                        graph, namespace=question.namespace, recurse=question.recurse
                    )


async def _state(graph: Graph, question: GraphQuestion, config: RunnableConfig) -> dict[str, Any]:
    snapshot = await graph.aget_state(config, subgraphs=question.subgraphs)
    _check_found(snapshot, question)
    return selected(shown_state(snapshot), question.select)


def _check_found(snapshot: StateSnapshot, question: GraphQuestion) -> None:
    wanted = question.checkpoint.get("checkpoint_id")
    if wanted is not None and snapshot.created_at is None:
        raise CheckpointNotFoundError(str(question.thread_id), str(wanted))


async def _history(
    graph: Graph, question: GraphQuestion, config: RunnableConfig
) -> list[dict[str, Any]]:
    before = None if question.before is None else RunnableConfig(configurable=question.before)
    states = graph.aget_state_history(
        config, filter=question.metadata, before=before, limit=question.limit
    )
    return [selected(shown_state(snapshot), question.select) async for snapshot in states]


async def _update(graph: Graph, question: GraphQuestion, config: RunnableConfig) -> dict[str, Any]:
    if "checkpoint_id" in question.checkpoint:
        _check_found(await graph.aget_state(config), question)
    try:
        made = await graph.aupdate_state(config, question.values, as_node=question.as_node)
    except _REFUSALS as exc:
        raise _RefusedError(f"{type(exc).__name__}: {exc}") from exc
    ref = checkpoint_ref(made)
    # Clients of different ages look for it in different places.
    return {
        "checkpoint": ref,
        "configurable": ref,
        "checkpoint_id": (ref or {}).get("checkpoint_id"),
    }


async def _build(graph: Graph, question: GraphQuestion, config: RunnableConfig) -> dict[str, Any]:
    steps = [[_state_update(each) for each in updates] for updates in question.supersteps]
    try:
        made = await graph.abulk_update_state(config, steps)
    except _REFUSALS as exc:
        raise _RefusedError(f"{type(exc).__name__}: {exc}") from exc
    return {"checkpoint": checkpoint_ref(made)}


def _state_update(asked: Mapping[str, Any]) -> StateUpdate:
    command = asked.get("command")
    # A node may return a command in the place of values.
    values: Any = command_of(command) if command else asked.get("values")
    return StateUpdate(values=values, as_node=asked.get("as_node"))


async def _tend(equipment: Equipment, question: GraphQuestion) -> dict[str, Any]:
    checkpointer, thread_id = equipment.checkpointer, str(question.thread_id)
    try:
        if question.wants == "copy":
            await checkpointer.acopy_thread(thread_id, str(question.target))
        else:
            await checkpointer.aprune([thread_id], strategy="keep_latest")
    except NotImplementedError as exc:
        raise UnsupportedOptionError(f"{question.wants}, by the declared checkpointer,") from exc
    return {}


_OF_THREADS: Final[
    Mapping[str, Callable[[Graph, GraphQuestion, RunnableConfig], Awaitable[Any]]]
] = MappingProxyType(
    {"state": _state, "history": _history, "update": _update, "supersteps": _build}
)


class _RefusedError(Exception):
    """The graph does not take an update."""


def _config_of(question: GraphQuestion, graph_id: str) -> RunnableConfig:
    place = place_of({"checkpoint": question.checkpoint})
    configurable: dict[str, Any] = {"checkpoint_ns": "", **place, "graph_id": graph_id}
    if question.thread_id is not None:
        configurable["thread_id"] = question.thread_id
    if question.user_id is not None:
        configurable["langgraph_auth_user_id"] = question.user_id
    return RunnableConfig(
        configurable=without_internals(configurable), metadata={"graph_id": graph_id}
    )
