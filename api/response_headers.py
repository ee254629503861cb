"""What browsers of other origins may do, in headers that answers carry.

Cross-origin pages need ``Location`` exposed, or their SDK cannot reconnect.
"""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

EXPOSED: Final = (
    "Location, Content-Location, X-Pagination-Total, X-Pagination-Next, X-Request-Id, Retry-After, "
    "WWW-Authenticate"
)
_METHODS: Final = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
_PREFLIGHT_MAX_AGE_S: Final = 600


class CrossOrigin:
    """Lets pages of some origins call from a browser.

    Args:
        origins: The origins; ``*`` stands for all, nothing for none.
    """

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origins)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Allow the page that asks to read the answer, if its origin is one of ours."""
        origin = request.headers.get("Origin")
        if not self._origins or origin is None:
            return
        response.headers.add("Vary", "Origin")
        if self._allows(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED

    @property
    def middleware(self) -> Middleware:
        """What answers a browser that asks whether its page may ask."""

        @web.middleware
        async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
            is_preflight = "Access-Control-Request-Method" in request.headers
            if (
                request.method != "OPTIONS"
                or not is_preflight
                or not self._allows(request.headers.get("Origin", ""))
            ):
                return await handler(request)
            return web.Response(status=204, headers=_permission(request))

        return answer_preflight

    def _allows(self, origin: str) -> bool:
        return "*" in self._origins or origin in self._origins


def _permission(request: web.Request) -> dict[str, str]:
    return {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": request.headers.get(
            "Access-Control-Request-Headers", "Content-Type"
        ),
        "Access-Control-Max-Age": str(_PREFLIGHT_MAX_AGE_S),
    }
