"""Where a graph comes from: a compiled one, one that is still to be compiled, or a factory.

A factory is called anew for each use, as the platform does, because it may depend on the run's
configuration. Checkpointer and store are always this deployment's.
"""

import inspect
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph_sdk.runtime import AccessContext, _ExecutionRuntime, _ReadRuntime

from runs.errors import AssistantLoadError
from runs.graphs.persistence import Equipment
from runs.loader import load_attribute

_LOG = logging.getLogger("jetrun.graphs")
_MAX_ARGUMENTS: Final = 2

Graph = Pregel[Any, Any, Any, Any]


#: What a graph is wanted for; factories are told, in the platform's words.
Access: TypeAlias = AccessContext


class GraphSource:
    """One declared graph, imported once.

    Args:
        target: ``module:attr`` or ``path/file.py:attr``.

    Raises:
        AssistantLoadError: It cannot be imported, or is no graph and no factory of one.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._value = load_attribute(target)
        self._parameters: tuple[str, ...] = ()
        self._warned = False
        if isinstance(self._value, StateGraph):
            self._value = self._compile(self._value)
        elif not isinstance(self._value, Pregel):
            self._parameters = self._read_parameters()

    def _compile(self, builder: StateGraph[Any, Any, Any, Any]) -> Graph:
        try:
            return builder.compile()
        except ValueError as exc:
            raise AssistantLoadError(self._target, f"does not compile: {exc}") from exc

    def _read_parameters(self) -> tuple[str, ...]:
        if not callable(self._value) or inspect.isasyncgenfunction(self._value):
            kind = type(self._value).__name__
            problem = f"must be a graph or a function that returns one, not {kind}"
            raise AssistantLoadError(self._target, problem)
        accepted = inspect.signature(self._value).parameters.values()
        kinds = [
            "runtime" if _is_runtime(each) else "config"
            for each in accepted
            if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
            and (each.default is each.empty or each.name in {"config", "runtime"})
        ]
        if len(kinds) > _MAX_ARGUMENTS or len(set(kinds)) < len(kinds):
            problem = "a graph's factory takes at most config and runtime"
            raise AssistantLoadError(self._target, problem)
        return tuple(kinds)

    @asynccontextmanager
    async def opened(
        self,
        access: Access,
        config: RunnableConfig,
        equipment: Equipment,
        context: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[Graph]:
        """Have the graph, with checkpointer and store in place, for the length of a context.

        Args:
            access: What for.
            config: What a factory is given.
            equipment: Where checkpoints and items are kept.
            context: The run's static context, which a factory may see.

        Raises:
            AssistantLoadError: A factory returned something else.
            Exception: Whatever a factory raises.
        """
        if isinstance(self._value, Pregel):
            yield self._equip(self._value, equipment)
            return
        runtime = _runtime_of(access, equipment, context)
        given = {"config": config, "runtime": runtime}
        made = self._value(*(given[name] for name in self._parameters))
        if inspect.isawaitable(made):
            made = await made
        if isinstance(made, AbstractAsyncContextManager):
            async with made as entered:
                yield self._equip(entered, equipment)
        elif isinstance(made, AbstractContextManager):
            with made as entered:
                yield self._equip(entered, equipment)
        else:
            yield self._equip(made, equipment)

    def _equip(self, made: object, equipment: Equipment) -> Graph:
        graph = self._compile(made) if isinstance(made, StateGraph) else made
        if not isinstance(graph, Pregel):
            problem = f"its factory returned no graph but {type(made).__name__}"
            raise AssistantLoadError(self._target, problem)
        if not self._warned and (isinstance(graph.checkpointer, BaseCheckpointSaver)):
            self._warned = True
            facts = {"graph": self._target, "checkpointer": type(graph.checkpointer).__name__}
            _LOG.warning("graph.own_checkpointer_replaced", extra=facts)
        return graph.copy(update=equipment._asdict())


def _is_runtime(parameter: inspect.Parameter) -> bool:
    return parameter.name == "runtime" or "ServerRuntime" in str(parameter.annotation)


def _runtime_of(access: Access, equipment: Equipment, context: Mapping[str, Any] | None) -> object:
    # The platform's own classes, so that annotations and `execution_runtime` mean the same.
    if access == "threads.create_run":
        return _ExecutionRuntime(access_context=access, store=equipment.store, context=context)
    return _ReadRuntime(access_context=access, store=equipment.store)
