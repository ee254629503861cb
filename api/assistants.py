"""The routes of assistants: what can be run here. They are declared, never created by clients."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from api.answers import json_answer, page_headers, ready_answer
from api.request_bodies import read_body, read_query
from api.schemas import AssistantSearch, DrawingQuery, SubgraphsQuery
from api.shapes import assistant_shape, function_drawing
from runs import Assistant, AssistantCatalog, GraphStates

_ONE: Final = "/assistants/{assistant_id}"
_SCHEMAS: Final = (
    "input_schema",
    "output_schema",
    "state_schema",
    "config_schema",
    "context_schema",
)


class AssistantRoutes:
    """Shows the assistants of a catalog; what only user code knows is asked of a worker."""

    def __init__(self, catalog: AssistantCatalog, graphs: GraphStates) -> None:
        self._catalog = catalog
        self._graphs = graphs

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of assistants."""
        return [
            web.post("/assistants/search", self.search),
            web.post("/assistants/count", self.count),
            web.get(_ONE, self.get),
            web.get(f"{_ONE}/schemas", self.schemas),
            web.get(f"{_ONE}/graph", self.drawing),
            web.get(f"{_ONE}/subgraphs", self.subgraphs),
            web.get(f"{_ONE}/subgraphs/{{namespace}}", self.subgraphs),
        ]

    async def search(self, request: web.Request) -> web.Response:
        """``POST /assistants/search``, by name."""
        query = await read_body(request, AssistantSearch)
        found = self._find(query)
        end = query.offset + query.limit
        return json_answer(found[query.offset : end], headers=page_headers(len(found), end))

    async def count(self, request: web.Request) -> web.Response:
        """``POST /assistants/count``: a bare number."""
        return json_answer(len(self._find(await read_body(request, AssistantSearch))))

    async def get(self, request: web.Request) -> web.Response:
        """``GET /assistants/{assistant_id}``, by id or by name."""
        return json_answer(assistant_shape(self._named(request)))

    async def schemas(self, request: web.Request) -> web.Response:
        """``GET .../schemas``: what the graph takes and gives; a function says nothing of it."""
        assistant = self._named(request)
        if not assistant.is_graph:
            return json_answer({"graph_id": assistant.name, **dict.fromkeys(_SCHEMAS)})
        return ready_answer(await self._graphs.describe(assistant, wants="schemas"))

    async def drawing(self, request: web.Request) -> web.Response:
        """``GET .../graph``: nodes and edges; a function is one node."""
        query = read_query(request, DrawingQuery)
        assistant = self._named(request)
        if not assistant.is_graph:
            return json_answer(function_drawing(assistant))
        answer = await self._graphs.describe(assistant, wants="drawing", xray=query.xray)
        return ready_answer(answer)

    async def subgraphs(self, request: web.Request) -> web.Response:
        """``GET .../subgraphs`` and ``.../subgraphs/{namespace}``: their schemas, by namespace."""
        query = read_query(request, SubgraphsQuery)
        assistant = self._named(request)
        if not assistant.is_graph:
            return json_answer({})
        answer = await self._graphs.describe(
            assistant,
            wants="subgraphs",
            namespace=request.match_info.get("namespace"),
            recurse=query.recurse,
        )
        return ready_answer(answer)

    def _named(self, request: web.Request) -> Assistant:
        return self._catalog.get(request.match_info["assistant_id"][:256])

    def _find(self, query: AssistantSearch) -> list[dict[str, Any]]:
        shown = [assistant_shape(self._catalog.get(name)) for name in self._catalog.names]
        return [assistant for assistant in shown if _fits(assistant, query)]


def _fits(assistant: Mapping[str, Any], query: AssistantSearch) -> bool:
    return (
        query.graph_id in (None, assistant["graph_id"])
        and (query.name or "").lower() in assistant["name"].lower()
        and (query.metadata or {}).items() <= assistant["metadata"].items()
    )
