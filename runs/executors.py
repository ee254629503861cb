"""One executor for each assistant of a worker, and what its graphs share.

What graphs need is an extra, and is imported only where a graph is declared.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from bridge import JetStreamBridge
from runs.catalog import AssistantCatalog
from runs.errors import AssistantLoadError
from runs.executor import Executor, FailedExecutor, RunExecutor
from runs.settings import GraphSettings

if TYPE_CHECKING:
    from runs.graphs.host import GraphHost

_INSTALL: Final = "graphs need LangGraph: pip install 'jetrun[langgraph]'"


class Executors:
    """Executes the runs of all assistants of a catalog.

    Args:
        catalog: The assistants; their functions and graphs are imported here.
        settings: What the graphs share.
    """

    def __init__(self, catalog: AssistantCatalog, settings: GraphSettings) -> None:
        self._by_name: dict[str, RunExecutor] = {}
        graphs = [each for each in catalog if each.is_graph]
        self._host = _host_of(settings) if graphs else None
        for each in catalog:
            if not each.is_graph:
                self._by_name[each.name] = Executor(each.function)
            elif self._host is None:
                missing = AssistantLoadError(each.function, _INSTALL)
                self._by_name[each.name] = FailedExecutor(missing)
            else:
                self._by_name[each.name] = self._host.executor(each)

    @property
    def failures(self) -> dict[str, AssistantLoadError]:
        """Why assistants cannot be executed, by name."""
        found = self._by_name.items()
        return {name: each.failure for name, each in found if each.failure is not None}

    def get(self, name: str) -> RunExecutor:
        """Return the executor of an assistant of the catalog."""
        return self._by_name[name]

    @asynccontextmanager
    async def opened(self, bridge: JetStreamBridge) -> AsyncGenerator[None]:
        """Have what the graphs share, for the length of a context.

        Raises:
            AssistantLoadError: The declared checkpointer cannot be loaded.
            BridgeError: The server cannot be used.
        """
        if self._host is None:
            yield
            return
        async with self._host.opened(bridge):
            yield


def _host_of(settings: GraphSettings) -> "GraphHost | None":
    try:
        from runs.graphs.host import GraphHost  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] not in _EXTRA:
            raise
        return None
    return GraphHost(settings)


_EXTRA: Final = frozenset({"langgraph", "langgraph_sdk", "langchain_core"})
