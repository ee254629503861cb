"""What pages of other origins may do from a browser.

They need ``Location`` exposed, or their SDK cannot reconnect.
"""

import re
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from api.http_settings import HttpSettings

EXPOSED: Final = (
    "Location",
    "Content-Location",
    "X-Pagination-Total",
    "X-Pagination-Next",
    "X-Request-Id",
    "Retry-After",
    "WWW-Authenticate",
)
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ALL: Final = "*"


class CrossOrigin:
    """Lets pages of some origins call from a browser.

    Args:
        settings: Which origins, and what their pages may send and read.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._origins = frozenset(settings.cors_origins)
        pattern = settings.cors_origin_pattern
        self._pattern = None if pattern is None else re.compile(pattern)
        self._exposed = ", ".join(dict.fromkeys((*EXPOSED, *settings.cors_exposed_headers)))
        self._methods = ", ".join(_unless_all(settings.cors_methods) or _METHODS)
        self._headers = ", ".join(_unless_all(settings.cors_headers))
        self._allows_credentials = settings.cors_credentials
        self._max_age_s = settings.cors_max_age_s

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Allow the page that asks to read the answer, if its origin is one of ours."""
        origin = request.headers.get("Origin")
        if origin is None or not (self._origins or self._pattern):
            return
        response.headers.add("Vary", "Origin")
        if self.allows(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = self._exposed
            if self._allows_credentials:
                response.headers["Access-Control-Allow-Credentials"] = "true"

    @property
    def middleware(self) -> Middleware:
        """What answers a browser that asks whether its page may ask."""

        @web.middleware
        async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
            is_preflight = "Access-Control-Request-Method" in request.headers
            if (
                request.method != "OPTIONS"
                or not is_preflight
                or not self.allows(request.headers.get("Origin", ""))
            ):
                return await handler(request)
            return web.Response(status=204, headers=self._permission(request))

        return answer_preflight

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may call."""
        if ALL in self._origins or origin in self._origins:
            return True
        return self._pattern is not None and self._pattern.fullmatch(origin) is not None

    def _permission(self, request: web.Request) -> dict[str, str]:
        asked = request.headers.get("Access-Control-Request-Headers", "Content-Type")
        return {
            "Access-Control-Allow-Methods": self._methods,
            "Access-Control-Allow-Headers": self._headers or asked,
            "Access-Control-Max-Age": str(self._max_age_s),
        }


def _unless_all(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names that are allowed alone; none at all where every name is."""
    return () if ALL in names else names
