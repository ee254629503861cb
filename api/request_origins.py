"""What a gateway that does not ask who calls refuses to browsers.

Any page that a user of this machine visits can make the browser send requests here. Without a
credential to ask for, where the page comes from is all that tells it from the user's own programs.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from api.errors import HostNotAllowedError, OriginNotAllowedError

#: Methods that make nothing; what they answer, a browser shows to pages of our origins alone.
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST: Final = re.compile(r"\[?(?P<name>.*?)\]?(:\d+)?")


def refuse_other_origins(
    allows: Callable[[str], bool], *, serves_machine_alone: bool
) -> Middleware:
    """Make what stands before the handlers of a gateway that does not authenticate.

    Args:
        allows: Whether pages of an origin, other than the gateway's own, may call.
        serves_machine_alone: Whether nobody beyond this machine is meant to call. Then a host name
            that does not mean this machine is one that a strange page made point here.
    """

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if serves_machine_alone and not _means_this_machine(request.host):
            raise HostNotAllowedError(request.host)
        origin = request.headers.get("Origin")
        if origin is not None and request.method not in _READING:
            is_own = origin.partition("://")[2] == request.host
            if not (is_own or allows(origin)):
                raise OriginNotAllowedError(origin)
        return await handler(request)

    return refuse


def _means_this_machine(host: str) -> bool:
    """Whether a ``Host`` header is an address, which no page can choose, or a name of loopback."""
    parts = _HOST.fullmatch(host.lower())
    name = parts["name"] if parts is not None else ""
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    return True
