"""The routes that show assistants: what can be run here."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Final

from aiohttp import web

from api.answers import json_answer, page_headers, ready_answer
from api.assistant_schemas import (
    AssistantFilter,
    AssistantSearch,
    DrawingQuery,
    SubgraphsQuery,
)
from api.identity import user_of
from api.made_assistants import assistant_of
from api.request_bodies import read_body, read_query
from api.shapes import assistant_shape, function_drawing, made_assistant_shape
from runs import Assistant, AssistantBook, GraphStates

_ONE: Final = "/assistants/{assistant_id}"
_SCHEMAS: Final = (
    "input_schema",
    "output_schema",
    "state_schema",
    "config_schema",
    "context_schema",
)


class AssistantRoutes:
    """Shows assistants, declared and made; what only user code knows is asked of a worker."""

    def __init__(self, book: AssistantBook, graphs: GraphStates) -> None:
        self._book = book
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
        """``POST /assistants/search``, the newest first, declared ones at the end."""
        query = await read_body(request, AssistantSearch)
        found = await self._find(request, query)
        found.sort(key=itemgetter(query.sort_by), reverse=query.sort_order == "desc")
        end = query.offset + query.limit
        shown = found[query.offset : end]
        if query.select is not None:
            chosen = set(query.select)
            shown = [{name: each[name] for name in each.keys() & chosen} for each in shown]
        return json_answer(shown, headers=page_headers(len(found), end))

    async def count(self, request: web.Request) -> web.Response:
        """``POST /assistants/count``: a bare number."""
        found = await self._find(request, await read_body(request, AssistantFilter))
        return json_answer(len(found))

    async def get(self, request: web.Request) -> web.Response:
        """``GET /assistants/{assistant_id}``, by id or by name."""
        chosen = await self._book.choose(assistant_of(request), user_id=user_of(request))
        if chosen.made is not None:
            return json_answer(made_assistant_shape(chosen.made))
        return json_answer(assistant_shape(chosen.assistant))

    async def schemas(self, request: web.Request) -> web.Response:
        """``GET .../schemas``: what the graph takes and gives; a function says nothing of it."""
        assistant = await self._named(request)
        if not assistant.is_graph:
            return json_answer({"graph_id": assistant.name, **dict.fromkeys(_SCHEMAS)})
        return ready_answer(await self._graphs.describe(assistant, wants="schemas"))

    async def drawing(self, request: web.Request) -> web.Response:
        """``GET .../graph``: nodes and edges; a function is one node."""
        query = read_query(request, DrawingQuery)
        assistant = await self._named(request)
        if not assistant.is_graph:
            return json_answer(function_drawing(assistant))
        answer = await self._graphs.describe(assistant, wants="drawing", xray=query.xray)
        return ready_answer(answer)

    async def subgraphs(self, request: web.Request) -> web.Response:
        """``GET .../subgraphs`` and ``.../subgraphs/{namespace}``: their schemas, by namespace."""
        query = read_query(request, SubgraphsQuery)
        assistant = await self._named(request)
        if not assistant.is_graph:
            return json_answer({})
        answer = await self._graphs.describe(
            assistant,
            wants="subgraphs",
            namespace=request.match_info.get("namespace"),
            recurse=query.recurse,
        )
        return ready_answer(answer)

    async def _named(self, request: web.Request) -> Assistant:
        chosen = await self._book.choose(assistant_of(request), user_id=user_of(request))
        return chosen.assistant

    async def _find(self, request: web.Request, query: AssistantFilter) -> list[dict[str, Any]]:
        made = await self._book.made(user_id=user_of(request))
        shown = [assistant_shape(each) for each in self._book.declared]
        shown += [made_assistant_shape(each) for each in made]
        return [assistant for assistant in shown if _fits(assistant, query)]


def _fits(assistant: Mapping[str, Any], query: AssistantFilter) -> bool:
    return (
        query.graph_id in (None, assistant["graph_id"])
        and (query.name or "").lower() in assistant["name"].lower()
        and (query.metadata or {}).items() <= assistant["metadata"].items()
    )
