"""The routes of assistants: what can be run here. They are declared, never created by clients."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from api.answers import json_answer, page_headers
from api.request_bodies import read_body
from api.schemas import AssistantSearch
from api.shapes import assistant_shape
from runs import AssistantCatalog


class AssistantRoutes:
    """Shows the assistants of a catalog."""

    def __init__(self, catalog: AssistantCatalog) -> None:
        self._catalog = catalog

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of assistants."""
        return [
            web.post("/assistants/search", self.search),
            web.post("/assistants/count", self.count),
            web.get("/assistants/{assistant_id}", self.get),
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
        assistant = self._catalog.get(request.match_info["assistant_id"][:256])
        return json_answer(assistant_shape(assistant))

    def _find(self, query: AssistantSearch) -> list[dict[str, Any]]:
        shown = [assistant_shape(self._catalog.get(name)) for name in self._catalog.names]
        return [assistant for assistant in shown if _fits(assistant, query)]


def _fits(assistant: Mapping[str, Any], query: AssistantSearch) -> bool:
    return (
        query.graph_id in (None, assistant["graph_id"])
        and (query.name or "").lower() in assistant["name"].lower()
        and (query.metadata or {}).items() <= assistant["metadata"].items()
    )
