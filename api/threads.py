"""The routes of threads and of their state."""

from aiohttp import web

from api.answers import json_answer
from api.request_bodies import read_body
from api.schemas import HistoryQuery, ThreadCreate
from api.shapes import state_shape, thread_shape
from bridge import check_id
from runs import OutputsNotFoundError, RunsFacade


class ThreadRoutes:
    """Creates and shows threads."""

    def __init__(self, facade: RunsFacade) -> None:
        self._facade = facade

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of threads."""
        return [
            web.post("/threads", self.create),
            web.get("/threads/{thread_id}", self.get),
            web.get("/threads/{thread_id}/state", self.state),
            web.post("/threads/{thread_id}/history", self.history),
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
        thread_id = thread_of(request)
        try:
            state = await self._facade.thread_state(thread_id)
        except OutputsNotFoundError:
            # The thread is there all the same; its state says what is missing.
            return json_answer(thread_shape(await self._facade.get_thread(thread_id)))
        return json_answer(thread_shape(state.thread, state.values))

    async def state(self, request: web.Request) -> web.Response:
        """``GET /threads/{thread_id}/state``."""
        return json_answer(state_shape(await self._facade.thread_state(thread_of(request))))

    async def history(self, request: web.Request) -> web.Response:
        """``POST /threads/{thread_id}/history``: the one state there is, or none."""
        thread_id = thread_of(request)
        query = await read_body(request, HistoryQuery)
        query.refuse("before", "checkpoint", "metadata")
        state = await self._facade.thread_state(thread_id)
        return json_answer([] if state.values is None else [state_shape(state)])


def thread_of(request: web.Request) -> str:
    """Return the thread that a request's path names.

    Raises:
        InvalidIdError: It cannot be a thread's id.
    """
    return check_id("thread_id", request.match_info["thread_id"])
