"""The routes of the console: its page and what the page is made of.

The files tell nothing of any user, so they are served to strangers; what the page shows, it asks
for with the credential of whoever looks at it.
"""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from api.console.static_files import read_static_files
from api.operations import Answer, operation

_PAGE: Final = "index.html"

#: Scripts and styles come from files of ours alone, and no text can become markup: a browser that
#: knows trusted types refuses ``innerHTML`` and its like altogether.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final = {
    # Asked for again each time, and mostly answered with 304: an update is seen at once.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_ENTRANCE: Final = Answer(
    status=HTTPStatus.PERMANENT_REDIRECT, media_type=None, headers={"Location": "The page."}
)
_UNCHANGED: Final = Answer(status=HTTPStatus.NOT_MODIFIED, media_type=None)


class ConsoleRoutes:
    """Serves the console."""

    def __init__(self) -> None:
        self._files = read_static_files()

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of the console."""
        return [
            web.get("/console", self.entrance),
            web.get(r"/console/{path:[\s\S]*}", self.file),  # a dot is no line break
        ]

    @operation(_ENTRANCE)
    async def entrance(self, _: web.Request) -> web.Response:
        """``GET /console``: leads to the page, whose files are named relative to the slash."""
        # Relative, because a proxy may serve this below a path that nobody here knows.
        return web.Response(status=HTTPStatus.PERMANENT_REDIRECT, headers={"Location": "console/"})

    @operation(Answer(media_type="*/*"), _UNCHANGED)
    async def file(self, request: web.Request) -> web.Response:
        """``GET /console/...``: the page, where the path is empty, or a file of it."""
        found = self._files.get(request.match_info["path"] or _PAGE)
        if found is None:
            raise web.HTTPNotFound
        etag = f'"{found.etag}"'
        headers = {**_HEADERS, "ETag": etag}
        if any(known.value in (found.etag, "*") for known in request.if_none_match or ()):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return web.Response(
            body=found.body, content_type=found.content_type, charset="utf-8", headers=headers
        )
