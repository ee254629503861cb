"""The routes that show assistants: what can be run here."""

from operator import itemgetter
from typing import Final

from aiohttp import web

from api.answer_schemas import AssistantShown, Drawing, GraphSchemas
from api.answers import PAGE_HEADERS, json_answer, page_headers, ready_answer
from api.assistant_schemas import (
    AssistantFilter,
    AssistantSearch,
    DrawingQuery,
    SubgraphsQuery,
)
from api.expected_errors import ASKED_OF_WORKERS
from api.identity import user_of
from api.made_assistants import assistant_of
from api.operations import Answer, operation
from api.shapes import assistant_shape, function_drawing, made_assistant_shape
from runs import Assistant, AssistantBook, GraphStates
from runs.fields import selected

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

    @operation(Answer(list[AssistantShown], headers=PAGE_HEADERS))
    async def search(self, request: web.Request, body: AssistantSearch) -> web.Response:
        """``POST /assistants/search``: assistants, the newest first, declared ones at the end."""
        found = await self._find(request, body)
        found.sort(key=itemgetter(body.sort_by), reverse=body.sort_order == "desc")
        end = body.offset + body.limit
        shown = [selected(each, body.select) for each in found[body.offset : end]]
        return json_answer(shown, headers=page_headers(len(found), end))

    @operation(Answer(int))
    async def count(self, request: web.Request, body: AssistantFilter) -> web.Response:
        """``POST /assistants/count``: how many assistants fit, a bare number."""
        return json_answer(len(await self._find(request, body)))

    @operation(Answer(AssistantShown))
    async def get(self, request: web.Request) -> web.Response:
        """``GET /assistants/{assistant_id}``: an assistant by its id or by its name."""
        chosen = await self._book.choose(assistant_of(request), user_id=user_of(request))
        if chosen.made is not None:
            return json_answer(made_assistant_shape(chosen.made))
        return json_answer(assistant_shape(chosen.assistant))

    @operation(Answer(GraphSchemas), raises=ASKED_OF_WORKERS)
    async def schemas(self, request: web.Request) -> web.Response:
        """``GET .../schemas``: what the graph takes and gives; a function says nothing of it."""
        assistant = await self._named(request)
        if not assistant.is_graph:
            return json_answer({"graph_id": assistant.name, **dict.fromkeys(_SCHEMAS)})
        return ready_answer(await self._graphs.describe(assistant, wants="schemas"))

    @operation(Answer(Drawing), raises=ASKED_OF_WORKERS)
    async def drawing(self, request: web.Request, query: DrawingQuery) -> web.Response:
        """``GET .../graph``: its nodes and edges; a function is one node."""
        assistant = await self._named(request)
        if not assistant.is_graph:
            return json_answer(function_drawing(assistant))
        answer = await self._graphs.describe(assistant, wants="drawing", xray=query.xray)
        return ready_answer(answer)

    @operation(Answer(dict[str, GraphSchemas]), raises=ASKED_OF_WORKERS)
    async def subgraphs(self, request: web.Request, query: SubgraphsQuery) -> web.Response:
        """``GET .../subgraphs`` and ``.../subgraphs/{namespace}``: subgraphs' schemas."""
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

    async def _find(self, request: web.Request, query: AssistantFilter) -> list[AssistantShown]:
        made = await self._book.made(user_id=user_of(request))
        shown = [assistant_shape(each) for each in self._book.declared]
        shown += [made_assistant_shape(each) for each in made]
        return [assistant for assistant in shown if _fits(assistant, query)]


def _fits(assistant: AssistantShown, query: AssistantFilter) -> bool:
    return (
        query.graph_id in (None, assistant["graph_id"])
        and (query.name or "").lower() in assistant["name"].lower()
        and (query.metadata or {}).items() <= assistant["metadata"].items()
    )
