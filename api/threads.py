"""The routes of threads."""

import asyncio
from typing import Any

from aiohttp import web

from api.answers import done, json_answer, page_headers
from api.auth.audit import name_objects
from api.identity import user_of
from api.request_bodies import check, read_body
from api.shapes import thread_shape, ttl_shape
from api.stream_modes import split_list
from api.thread_schemas import (
    ThreadCreate,
    ThreadFilter,
    ThreadGet,
    ThreadPatch,
    ThreadSearch,
    ThreadsPrune,
)
from api.unattended import UnattendedWork
from bridge import StreamNotFoundError, check_id
from runs import (
    OutputsNotFoundError,
    RunsFacade,
    ThreadNotFoundError,
    ThreadQuery,
    ThreadRecord,
    ThreadUpkeep,
)


class ThreadRoutes:
    """Creates and shows threads."""

    def __init__(
        self, facade: RunsFacade, upkeep: ThreadUpkeep, unattended: UnattendedWork
    ) -> None:
        self._facade = facade
        self._upkeep = upkeep
        self._unattended = unattended

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of threads."""
        return [
            web.post("/threads", self.create),
            web.post("/threads/search", self.search),
            web.post("/threads/count", self.count),
            web.post("/threads/prune", self.prune),
            web.post("/threads/{thread_id}/copy", self.copy),
            web.get("/threads/{thread_id}", self.get),
            web.patch("/threads/{thread_id}", self.update),
            web.delete("/threads/{thread_id}", self.delete),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """``POST /threads``."""
        body = await read_body(request, ThreadCreate)
        creation = self._upkeep.create(
            body.steps(),
            thread_id=body.thread_id,
            metadata=body.metadata,
            if_exists=body.if_exists or "raise",
            ttl=None if body.ttl is None else body.ttl.value(),
            user_id=user_of(request),
        )
        thread = await self._unattended.finish(creation, "create thread")
        name_objects(request, thread_id=thread.thread_id)
        return json_answer(thread_shape(thread))

    async def get(self, request: web.Request) -> web.Response:
        """``GET /threads/{thread_id}``; ``include`` names what is shown in addition."""
        included = split_list("include", request.query.getall("include", []))
        wanted = check(ThreadGet, {"include": included})
        thread = await self._facade.get_thread(thread_of(request), user_id=user_of(request))
        shown = await self._shown(thread)
        return json_answer({**shown, **({"ttl": ttl_shape(thread)} if wanted.include else {})})

    async def update(self, request: web.Request) -> web.Response:
        """``PATCH /threads/{thread_id}``; with ``Prefer: return=minimal`` 204."""
        thread_id = thread_of(request)
        body = await read_body(request, ThreadPatch)
        thread = await self._facade.update_thread(
            thread_id,
            body.metadata or {},
            ttl=None if body.ttl is None else body.ttl.value(),
            user_id=user_of(request),
        )
        if request.headers.get("Prefer") == "return=minimal":
            return done()
        return json_answer(await self._shown(thread))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /threads/{thread_id}``, with all its runs; goes on when the client leaves."""
        thread_id = thread_of(request)
        deletion = self._facade.delete_thread(thread_id, user_id=user_of(request))
        if not await self._unattended.finish(deletion, "delete thread"):
            raise ThreadNotFoundError(thread_id)
        return done()

    async def copy(self, request: web.Request) -> web.Response:
        """``POST /threads/{thread_id}/copy``; goes on when the client leaves."""
        copying = self._upkeep.copy(thread_of(request), user_id=user_of(request))
        copied = await self._unattended.finish(copying, "copy thread")
        name_objects(request, thread_id=copied.thread_id)
        return json_answer(await self._shown(copied))

    async def prune(self, request: web.Request) -> web.Response:
        """``POST /threads/prune``: of many threads all, or all but the newest state."""
        body = await read_body(request, ThreadsPrune)
        pruning = self._upkeep.prune(
            [check_id("thread_id", each) for each in body.thread_ids],
            body.strategy,
            user_id=user_of(request),
        )
        pruned = await self._unattended.finish(pruning, "prune threads")
        return json_answer({"pruned_count": pruned})

    async def search(self, request: web.Request) -> web.Response:
        """``POST /threads/search``."""
        wanted = await read_body(request, ThreadSearch)
        found = await self._facade.search_threads(
            _asked_by(request, wanted), limit=wanted.limit, offset=wanted.offset
        )
        select = wanted.select
        if select is None or "values" in select:
            shown = await asyncio.gather(*(self._shown(thread) for thread in found.threads))
        else:
            shown = [thread_shape(thread) for thread in found.threads]
        if select is not None:
            shown = [{name: each[name] for name in each.keys() & set(select)} for each in shown]
        headers = page_headers(found.total, wanted.offset + wanted.limit)
        return json_answer(shown, headers=headers)

    async def count(self, request: web.Request) -> web.Response:
        """``POST /threads/count``: a bare number."""
        wanted = await read_body(request, ThreadFilter)
        return json_answer(await self._facade.count_threads(_asked_by(request, wanted)))

    async def _shown(self, thread: ThreadRecord) -> dict[str, Any]:
        try:
            state = await self._facade.state_of(thread)
        except (OutputsNotFoundError, StreamNotFoundError):
            # The thread is there all the same; its state says what is missing.
            return thread_shape(thread)
        return thread_shape(state.thread, state.values)


def _asked_by(request: web.Request, wanted: ThreadFilter) -> ThreadQuery:
    return wanted.query().model_copy(update={"user_id": user_of(request)})


def thread_of(request: web.Request) -> str:
    """Return the thread that a request's path names.

    Raises:
        InvalidIdError: It cannot be a thread's id.
    """
    return check_id("thread_id", request.match_info["thread_id"])
