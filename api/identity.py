"""Who asks: found out once for each request, before its handler runs.

Handlers hand :func:`user_of` on with every call, and run control shows nobody what is another's.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from api.auth.caller import EVERYBODY, Caller
from api.auth.permissions import OPEN_ROUTES, check_permission, route_of

#: Returns who sent a request, or raises what tells the client how to say so.
Authenticate: TypeAlias = Callable[[web.Request], Awaitable[Caller]]

_CALLER: Final = web.RequestKey[Caller]("caller")


async def everybody(_: web.Request) -> Caller:
    """Tell no users apart: whoever reaches the gateway is an operator."""
    return EVERYBODY


def authenticated_by(authenticate: Authenticate) -> Middleware:
    """Return what lets no request through whose caller is unknown or lacks a scope.

    Paths that lead nowhere are guarded, too: a stranger does not learn which routes there are.
    """

    @web.middleware
    async def note_caller(request: web.Request, handler: Handler) -> web.StreamResponse:
        if route_of(request) not in OPEN_ROUTES:
            caller = request[_CALLER] = await authenticate(request)
            check_permission(caller, request)
        return await handler(request)

    return note_caller


def find_caller(request: web.Request) -> Caller | None:
    """Return who sent the request; ``None`` when nobody was asked, or no answer was good enough."""
    return request.get(_CALLER)


def caller_of(request: web.Request) -> Caller:
    """Return who sent the request.

    Raises:
        KeyError: Nobody was asked: a mistake in the wiring must not open everything.
    """
    return request[_CALLER]


def user_of(request: web.Request) -> str | None:
    """Return whose objects the request may see; ``None`` sees everything.

    Raises:
        KeyError: Nobody was asked: a mistake in the wiring must not open everything.
    """
    return caller_of(request).sees
