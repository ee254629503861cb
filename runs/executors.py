"""One executor for each assistant of a worker, and what its graphs share.

What graphs need is an extra, and is imported only where a graph is declared.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bridge import RunBridge
from runs.catalog import AssistantCatalog
from runs.errors import AssistantLoadError, LangGraphMissingError
from runs.executor import Executor, FailedExecutor, RunExecutor
from runs.settings import GraphSettings

if TYPE_CHECKING:
    from runs.graphs.host import GraphHost


class Executors:
    """Executes the runs of all assistants of a catalog.

    Args:
        catalog: The assistants; their functions and graphs are imported here.
        settings: What the graphs share.
    """

    def __init__(self, catalog: AssistantCatalog, settings: GraphSettings) -> None:
        self._host: GraphHost | None = None
        missing = ""
        if any(each.is_graph for each in catalog):
            try:
                self._host = _new_host(settings)
            except LangGraphMissingError as exc:
                missing = str(exc)
        self._by_name: dict[str, RunExecutor] = {}
        for each in catalog:
            if not each.is_graph:
                self._by_name[each.name] = Executor(each.function)
            elif self._host is not None:
                self._by_name[each.name] = self._host.executor(each)
            else:
                failure = AssistantLoadError(each.function, missing)
                self._by_name[each.name] = FailedExecutor(failure)

    @property
    def failures(self) -> dict[str, AssistantLoadError]:
        """Why assistants cannot be executed, by name."""
        found = self._by_name.items()
        return {name: each.failure for name, each in found if each.failure is not None}

    def get(self, name: str) -> RunExecutor:
        """Return the executor of an assistant of the catalog."""
        return self._by_name[name]

    @asynccontextmanager
    async def opened(self, bridge: RunBridge) -> AsyncGenerator[None]:
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


def _new_host(settings: GraphSettings) -> "GraphHost":
    from runs.graphs.host import GraphHost  # noqa: PLC0415 - an extra

    return GraphHost(settings)
