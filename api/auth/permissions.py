"""Which scope each route needs, and which are for operators.

GET and questions read, DELETE removes, the other methods change; the exceptions are listed here. A
route that is added without a line is guarded all the same.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web

from api.auth.caller import Caller, Role, Scope
from api.auth.errors import OperatorsOnlyError, ScopeMissingError

#: The path below which an application serves everything; it is no part of its routes' names.
MOUNT_PREFIX: Final = web.AppKey("mount_prefix", str)

#: Asked by load balancers, which have no credential, and by people who read how to get one; they
#: tell nothing of any user.
OPEN_ROUTES: Final = frozenset(
    {
        "GET /ok",
        "GET /livez",
        "GET /readyz",
        "GET /openapi.json",
        "GET /docs",
        "GET /console",
        "GET /console/{path}",
    }
)
#: They tell of all users together.
OPERATOR_ROUTES: Final = frozenset({"GET /doctor", "GET /metrics", "GET /system"})

_RUN: Final = "/threads/{thread_id}/runs/{run_id}"
#: How paths end whose POST is a question that does not fit into a query string.
_QUESTIONS: Final = ("/count", "/history", "/search")
#: What a query says that a reader does not want; SDKs say it unasked.
_NO: Final = frozenset({"0", "f", "false", "n", "no", "off"})
_EXCEPTIONS: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        # A question about the past, though it is asked by POST.
        "POST /threads/{thread_id}/state/checkpoint": Scope.READ,
        # A stream whose wishes do not fit into a query string.
        "POST /threads/{thread_id}/stream/events": Scope.READ,
        "POST /assistants/{assistant_id}/versions": Scope.READ,
        "POST /store/namespaces": Scope.READ,
        # Deletes, though it is asked by POST.
        "POST /threads/prune": Scope.OPERATE,
        # Allows less than reading does.
        f"POST {_RUN}/token": Scope.READ,
        # What stops runs.
        "POST /runs/cancel": Scope.OPERATE,
        f"POST {_RUN}/cancel": Scope.OPERATE,
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
    method, _, path = route.partition(" ")
    if method == "GET" or path.endswith(_QUESTIONS):
        return Scope.READ
    return Scope.OPERATE if method == "DELETE" else Scope.RUN


def check_permission(caller: Caller, request: web.Request) -> None:
    """Refuse a request that the caller's credential does not allow.

    Raises:
        ScopeMissingError: The request needs a scope that the caller has not.
        OperatorsOnlyError: The caller is a user, and the route is for operators.
    """
    route = route_of(request)
    needed = {scope_of(route)}
    if _stops_by_leaving(request):
        needed.add(Scope.OPERATE)
    missing = needed - caller.scopes
    if missing:
        raise ScopeMissingError(missing)
    if route in OPERATOR_ROUTES and caller.role is not Role.OPERATOR:
        raise OperatorsOnlyError


def _stops_by_leaving(request: web.Request) -> bool:
    """Return whether a reader wants the run to be cancelled when it goes; in doubt it does."""
    wishes = request.query.getall("cancel_on_disconnect", ())
    return any(wish.lower() not in _NO for wish in wishes)
