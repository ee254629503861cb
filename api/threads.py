"""The routes of threads."""

import asyncio
from typing import Any

from aiohttp import web

from api.answers import done, json_answer, page_headers
from api.request_bodies import read_body
from api.shapes import thread_shape
from api.thread_schemas import (
    ThreadCreate,
    ThreadFilter,
    ThreadPatch,
    ThreadSearch,
)
from api.unattended import UnattendedWork
from bridge import check_id
from runs import OutputsNotFoundError, RunsFacade, ThreadNotFoundError, ThreadRecord


class ThreadRoutes:
    """Creates and shows threads."""

    def __init__(self, facade: RunsFacade, unattended: UnattendedWork) -> None:
        self._facade = facade
        self._unattended = unattended

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of threads."""
        return [
            web.post("/threads", self.create),
            web.post("/threads/search", self.search),
            web.post("/threads/count", self.count),
            web.get("/threads/{thread_id}", self.get),
            web.patch("/threads/{thread_id}", self.update),
            web.delete("/threads/{thread_id}", self.delete),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """``POST /threads``."""
        body = await read_body(request, ThreadCreate)
        body.refuse("supersteps", "ttl")
        thread = await self._facade.create_thread(
            thread_id=body.thread_id,
            metadata=body.metadata,
            if_exists=body.if_exists or "raise",
        )
        return json_answer(thread_shape(thread))

    async def get(self, request: web.Request) -> web.Response:
        """``GET /threads/{thread_id}``."""
        return json_answer(await self._shown(thread_of(request)))

    async def update(self, request: web.Request) -> web.Response:
        """``PATCH /threads/{thread_id}``: merge metadata; with ``Prefer: return=minimal`` 204."""
        thread_id = thread_of(request)
        body = await read_body(request, ThreadPatch)
        body.refuse("ttl")
        await self._facade.update_thread(thread_id, body.metadata or {})
        if request.headers.get("Prefer") == "return=minimal":
            return done()
        return json_answer(await self._shown(thread_id))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /threads/{thread_id}``, with all its runs; goes on when the client leaves."""
        thread_id = thread_of(request)
        deletion = self._facade.delete_thread(thread_id)
        if not await self._unattended.finish(deletion, "delete thread"):
            raise ThreadNotFoundError(thread_id)
        return done()

    async def search(self, request: web.Request) -> web.Response:
        """``POST /threads/search``; reads every thread there is."""
        wanted = await read_body(request, ThreadSearch)
        found = await self._facade.search_threads(wanted.query())
        end = wanted.offset + wanted.limit
        page = found[wanted.offset : end]
        shown = await asyncio.gather(*(self._shown_once_found(thread) for thread in page))
        if wanted.select is not None:
            keep = set(wanted.select)
            shown = [{name: each[name] for name in each.keys() & keep} for each in shown]
        return json_answer(shown, headers=page_headers(len(found), end))

    async def count(self, request: web.Request) -> web.Response:
        """``POST /threads/count``: a bare number; reads every thread there is."""
        wanted = await read_body(request, ThreadFilter)
        return json_answer(len(await self._facade.search_threads(wanted.query())))

    async def _shown(self, thread_id: str) -> dict[str, Any]:
        try:
            state = await self._facade.thread_state(thread_id)
        except OutputsNotFoundError:
            # The thread is there all the same; its state says what is missing.
            return thread_shape(await self._facade.get_thread(thread_id))
        return thread_shape(state.thread, state.values)

    async def _shown_once_found(self, thread: ThreadRecord) -> dict[str, Any]:
        try:
            return await self._shown(thread.thread_id)
        except ThreadNotFoundError:
            return thread_shape(thread)  # deleted a moment after it was found


def thread_of(request: web.Request) -> str:
    """Return the thread that a request's path names.

    Raises:
        InvalidIdError: It cannot be a thread's id.
    """
    return check_id("thread_id", request.match_info["thread_id"])
