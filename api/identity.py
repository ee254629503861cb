"""Who asks: found out once for each request, before its handler runs.

Handlers hand :func:`user_of` on with every call, and run control shows nobody what is another's.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

#: Returns the user of a request, or ``None`` where there is no authentication: that sees all.
Identify: TypeAlias = Callable[[web.Request], Awaitable[str | None]]

_USER: Final = web.RequestKey[str | None]("user_id")


async def nobody(_: web.Request) -> None:
    """Tell no users apart."""


def identified_by(identify: Identify) -> Middleware:
    """Return what asks ``identify`` once for each request."""

    @web.middleware
    async def note_user(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_USER] = await identify(request)
        return await handler(request)

    return note_user


def user_of(request: web.Request) -> str | None:
    """Return whose request it is; ``None`` sees everything.

    Raises:
        KeyError: Nobody was asked: a mistake in the wiring must not open everything.
    """
    return request[_USER]
