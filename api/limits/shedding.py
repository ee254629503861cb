"""Refuses new runs and new streams while the gateway has too much to do.

What is there goes on, and what makes it less always passes: a cancel, a deletion, a look at a run.
"""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from api.auth.permissions import route_of
from api.limits.errors import OverloadedError
from api.limits.overload import OVERLOAD
from api.stream import decline
from api.thread_streams import cut

_THREAD: Final = "/threads/{thread_id}"

_THREAD_STREAM: Final = f"GET {_THREAD}/stream"
#: What a browser's EventSource opens, which gives up on any status but 200.
STREAMS: Final = frozenset(
    {
        f"GET {_THREAD}/runs/{{run_id}}/stream",
        _THREAD_STREAM,
        "GET /runs/{run_id}/stream",
    }
)
#: All that adds work; a command is looked at where it is known which one it is.
NEW_WORK: Final = STREAMS | {
    "POST /runs",
    "POST /runs/batch",
    "POST /runs/stream",
    "POST /runs/wait",
    f"POST {_THREAD}/runs",
    f"POST {_THREAD}/runs/stream",
    f"POST {_THREAD}/runs/wait",
    f"POST {_THREAD}/runs/{{run_id}}/again",
    f"POST {_THREAD}/stream/events",
    f"GET {_THREAD}/runs/{{run_id}}/join",
}


@web.middleware
async def shed_new_work(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what adds work before anything is done for it, while there is too much."""
    route = route_of(request)
    if route in NEW_WORK:
        try:
            request.app[OVERLOAD].check()
        except OverloadedError as error:
            if route not in STREAMS:
                raise
            declined = await decline(request, error)
            if route == _THREAD_STREAM:
                # The SDKs take a clean end for the end of everything.
                cut(request)
                raise ConnectionResetError(str(error)) from error
            return declined
    return await handler(request)
