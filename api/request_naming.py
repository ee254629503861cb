"""What a request is called: its id, and the objects that its path names."""

import logging
import re
import secrets
import time
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from api.auth.permissions import route_of
from bridge import InvalidIdError, check_id, logging_about

_LOG = logging.getLogger(__name__)

REQUEST_ID: Final = "X-Request-Id"
_GIVEN_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_NAME: Final = web.RequestKey[str]("request id")
#: Of the ids in a path, those that lines are looked for by.
_TOLD: Final = frozenset({"thread_id", "run_id"})


@web.middleware
async def name_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let every line that is logged for a request say which one it is; the outermost of all.

    The id is the client's own if it gave one that can stand in a header and in a line.
    """
    request_id = request_id_of(request)
    ids = {name: each for name, each in ids_in_path(request).items() if name in _TOLD}
    began = time.monotonic()
    with logging_about(request_id=request_id, **ids):
        response = await handler(request)
        facts = {"route": route_of(request), "status": response.status}
        _LOG.debug("http.done", extra={**facts, "took_s": round(time.monotonic() - began, 4)})
    return response


def request_id_of(request: web.Request) -> str:
    """Return what a request is called; the same at each call."""
    if _NAME not in request:
        given = request.headers.get(REQUEST_ID, "")
        request[_NAME] = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
    return request[_NAME]


async def add_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Name the request in its answer."""
    response.headers[REQUEST_ID] = request_id_of(request)


def ids_in_path(request: web.Request) -> dict[str, str]:
    """Return the ids of the path; what is none could break a line, and is left out."""
    ids = {}
    for name, given in request.match_info.items():
        try:
            ids[name] = check_id(name, given)
        except InvalidIdError:
            ids[name] = "not an id"
    return ids
