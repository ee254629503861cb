"""The audit log: who did what to which object, and what came of it.

One line for each request that changes something, and for each one that was refused for who sent it.
It is written when the answer begins, so a stream that takes hours is there at its start. Never in
it: bodies, queries, credentials.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from api.auth.caller import EVERYBODY, Caller, Scope
from api.auth.permissions import OPEN_ROUTES, route_of, scope_of
from api.identity import find_caller
from api.request_naming import REQUEST_ID, ids_in_path

_LOG = logging.getLogger(__name__)
_OBJECTS: Final = web.RequestKey[dict[str, object]]("audited objects")
_IS_NOTED: Final = web.RequestKey[bool]("is noted")

_CHANGING: Final = frozenset({Scope.RUN, Scope.OPERATE})
#: Of the path ``/threads/{thread_id}/runs/{run_id}``, with nothing before the first slash.
_PARTS_OF_RUN: Final = 5
_REFUSED: Final = frozenset({401, 403})


def name_objects(
    request: web.Request, *, thread_id: str | None = None, run_ids: Sequence[str] = ()
) -> None:
    """Say what a request is about whose path does not.

    Args:
        request: The request.
        thread_id: A thread's id, checked.
        run_ids: Ids of runs, checked.
    """
    objects: dict[str, object] = {"thread_id": thread_id, "run_ids": list(run_ids)}
    request[_OBJECTS] = {name: each for name, each in objects.items() if each}


async def note_answer(request: web.Request, response: web.StreamResponse) -> None:
    """Write the line of a request whose answer begins."""
    request[_IS_NOTED] = True
    if response.status in _REFUSED or _is_change(request):
        facts: dict[str, object] = {
            "outcome": response.status,
            "request_id": response.headers.get(REQUEST_ID),
        }
        _write(request, _created_by(response), facts)


@web.middleware
async def note_departure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write the line of a request whose client left before its answer; it may be done or not."""
    try:
        return await handler(request)
    except asyncio.CancelledError:
        if _IS_NOTED not in request and _is_change(request):
            _write(request, {}, {"outcome": "client left"})
        raise


def _is_change(request: web.Request) -> bool:
    route = route_of(request)
    return find_caller(request) is not None and scope_of(route) in _CHANGING


def _write(request: web.Request, created: dict[str, str], facts: dict[str, object]) -> None:
    caller = find_caller(request)
    if caller is EVERYBODY or route_of(request) in OPEN_ROUTES:
        return
    objects = {**ids_in_path(request), **created, **request.get(_OBJECTS, {})}
    _LOG.info(
        "audit", extra={"action": route_of(request), **_who(caller), "object": objects, **facts}
    )


def _who(caller: Caller | None) -> dict[str, object]:
    if caller is None:
        return {"user_id": None, "role": None, "credential": None}
    return {"user_id": caller.user_id, "role": caller.role.value, "credential": caller.credential}


def _created_by(response: web.StreamResponse) -> dict[str, str]:
    """Return the run that an answer names as its content."""
    parts = response.headers.get("Content-Location", "").split("/")
    return {"thread_id": parts[2], "run_id": parts[4]} if len(parts) == _PARTS_OF_RUN else {}
