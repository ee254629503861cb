"""Serve the document, and a page made of it for people."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from aiohttp import web

from api.answer_schemas import JsonObject
from api.answers import json_answer
from api.openapi.document import ServedRoute, openapi_document
from api.openapi.page import CONTENT_SECURITY_POLICY, reference_page
from api.operations import Answer, find_operation, operation

#: What a router is told that a part of a path looks like.
_PATTERN: Final = re.compile(r"{(\w+):[^{}]+}")


class Reference:
    """What one application serves; made when somebody asks for the first time.

    Args:
        served: The routes by the name of their group; those that declare nothing are left out.
        prefix: The path below which they are served.
    """

    def __init__(self, served: Mapping[str, Iterable[web.RouteDef]], prefix: str) -> None:
        self._served = served
        self._prefix = prefix

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        routes = [
            ServedRoute(group, route.method, _PATTERN.sub(r"{\1}", route.path), found)
            for group, routes in self._served.items()
            for route in routes
            if (found := find_operation(route.handler)) is not None
        ]
        return openapi_document(routes, self._prefix)

    @cached_property
    def page(self) -> str:
        """The same for people, as HTML."""
        return reference_page(self.document)


REFERENCE: Final = web.AppKey("reference", Reference)


class ReferenceRoutes:
    """Shows the API to those who are about to call it."""

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of its own description."""
        return [web.get("/openapi.json", self.document), web.get("/docs", self.page)]

    @operation(Answer(JsonObject))
    async def document(self, request: web.Request) -> web.Response:
        """``GET /openapi.json``: the HTTP API as an OpenAPI document."""
        return json_answer(request.app[REFERENCE].document)

    @operation(Answer(media_type="text/html"))
    async def page(self, request: web.Request) -> web.Response:
        """``GET /docs``: the HTTP API as a page for people."""
        return web.Response(
            text=request.app[REFERENCE].page,
            content_type="text/html",
            headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY},
        )
