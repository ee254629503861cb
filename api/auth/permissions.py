"""Which scope each route needs.

Reading is what GET does, and changing what the other methods do; the exceptions are listed here. A
route that is added without a line is guarded all the same.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web

from api.auth.caller import Caller, Scope
from api.auth.errors import ScopeMissingError

#: The path below which an application serves everything; it is no part of its routes' names.
MOUNT_PREFIX: Final = web.AppKey("mount_prefix", str)

#: Asked by load balancers, which have no credential; they tell nothing of any user.
OPEN_ROUTES: Final = frozenset({"GET /ok", "GET /livez", "GET /readyz"})

_RUN: Final = "/threads/{thread_id}/runs/{run_id}"
_EXCEPTIONS: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        # Questions that do not fit into a query string.
        "POST /assistants/search": Scope.READ,
        "POST /assistants/count": Scope.READ,
        "POST /threads/search": Scope.READ,
        "POST /threads/count": Scope.READ,
        "POST /threads/{thread_id}/history": Scope.READ,
        "POST /threads/{thread_id}/state/checkpoint": Scope.READ,
        "POST /runs/search": Scope.READ,
        "POST /runs/count": Scope.READ,
        # Allows less than reading does.
        f"POST {_RUN}/token": Scope.READ,
        # What stops or removes.
        "POST /runs/cancel": Scope.OPERATE,
        f"POST {_RUN}/cancel": Scope.OPERATE,
        f"DELETE {_RUN}": Scope.OPERATE,
        "DELETE /threads/{thread_id}": Scope.OPERATE,
        # What others will take for a worker's.
        f"POST {_RUN}/events": Scope.PUBLISH,
    }
)


def route_of(request: web.Request) -> str:
    """Return the request's route, ``METHOD /path/{name}``; of an unknown path the method alone."""
    method = "GET" if request.method == "HEAD" else request.method
    resource = request.match_info.route.resource
    if resource is None:
        return method
    return f"{method} {resource.canonical.removeprefix(request.app[MOUNT_PREFIX])}"


def scope_of(route: str) -> Scope:
    """Return the scope that a route needs."""
    found = _EXCEPTIONS.get(route)
    if found is not None:
        return found
    return Scope.READ if route.startswith("GET") else Scope.RUN


def check_scopes(caller: Caller, request: web.Request) -> None:
    """Refuse a request that the caller's credential does not allow.

    Raises:
        ScopeMissingError: The request needs a scope that the caller has not.
    """
    needed = {scope_of(route_of(request))}
    if request.method == "GET" and "cancel_on_disconnect" in request.query:
        needed.add(Scope.OPERATE)  # a reader that stops the run when it leaves
    missing = needed - caller.scopes
    if missing:
        raise ScopeMissingError(missing)
