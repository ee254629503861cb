"""The routes of threads."""

import asyncio
from collections.abc import Sequence

from aiohttp import web

from api.answer_schemas import PruneResult, ThreadShown
from api.answers import PAGE_HEADERS, done, json_answer, page_headers
from api.auth.audit import name_objects
from api.errors import ContradictoryOptionsError
from api.expected_errors import CHANGING_STATES, SEARCHING
from api.identity import user_of
from api.operations import DONE, Answer, operation
from api.parameters import INCLUDE, PREFERENCE
from api.request_bodies import check
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
from bridge import InvalidIdError, StreamNotFoundError, check_id
from runs import (
    OutputsNotFoundError,
    RunConflictError,
    RunsFacade,
    ThreadExistsError,
    ThreadNotFoundError,
    ThreadQuery,
    ThreadRecord,
    ThreadUpkeep,
    UnsupportedOptionError,
)
from runs.fields import selected


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

    @operation(
        Answer(ThreadShown),
        raises=(
            ThreadExistsError,
            ContradictoryOptionsError,
            InvalidIdError,
            *CHANGING_STATES,
        ),
    )
    async def create(self, request: web.Request, body: ThreadCreate) -> web.Response:
        """``POST /threads``: create a thread, with a first state where one is given."""
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

    @operation(Answer(ThreadShown), parameters=(INCLUDE,))
    async def get(self, request: web.Request) -> web.Response:
        """``GET /threads/{thread_id}``: a thread with its last run's final values."""
        included = split_list("include", request.query.getall("include", []))
        wanted = check(ThreadGet, {"include": included})
        thread = await self._facade.get_thread(thread_of(request), user_id=user_of(request))
        shown = await self._shown(thread)
        if wanted.include:
            shown["ttl"] = ttl_shape(thread)
        return json_answer(shown)

    @operation(Answer(ThreadShown), DONE, parameters=(PREFERENCE,))
    async def update(self, request: web.Request, body: ThreadPatch) -> web.Response:
        """``PATCH /threads/{thread_id}``: merge metadata by name, and set how long it stays."""
        thread_id = thread_of(request)
        thread = await self._facade.update_thread(
            thread_id,
            body.metadata or {},
            ttl=None if body.ttl is None else body.ttl.value(),
            user_id=user_of(request),
        )
        if request.headers.get("Prefer") == "return=minimal":
            return done()
        return json_answer(await self._shown(thread))

    @operation(DONE)
    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /threads/{thread_id}``: delete a thread with its runs."""
        thread_id = thread_of(request)
        deletion = self._facade.delete_thread(thread_id, user_id=user_of(request))
        if not await self._unattended.finish(deletion, "delete thread"):
            raise ThreadNotFoundError(thread_id)
        return done()

    @operation(Answer(ThreadShown), raises=(RunConflictError, *CHANGING_STATES))
    async def copy(self, request: web.Request) -> web.Response:
        """``POST /threads/{thread_id}/copy``: make a thread with its state."""
        copying = self._upkeep.copy(thread_of(request), user_id=user_of(request))
        copied = await self._unattended.finish(copying, "copy thread")
        name_objects(request, thread_id=copied.thread_id)
        return json_answer(await self._shown(copied))

    @operation(Answer(PruneResult), raises=(InvalidIdError, *CHANGING_STATES))
    async def prune(self, request: web.Request, body: ThreadsPrune) -> web.Response:
        """``POST /threads/prune``: remove many threads, or all but their newest states."""
        pruning = self._upkeep.prune(
            [check_id("thread_id", each) for each in body.thread_ids],
            body.strategy,
            user_id=user_of(request),
        )
        pruned = await self._unattended.finish(pruning, "prune threads")
        return json_answer({"pruned_count": pruned})

    @operation(
        Answer(list[ThreadShown], headers=PAGE_HEADERS),
        raises=(UnsupportedOptionError, *SEARCHING),
    )
    async def search(self, request: web.Request, body: ThreadSearch) -> web.Response:
        """``POST /threads/search``: threads, a page at a time."""
        found = await self._facade.search_threads(
            _asked_by(request, body), limit=body.limit, offset=body.offset
        )
        select = body.select
        shown: Sequence[ThreadShown]
        if select is None or "values" in select:
            shown = await asyncio.gather(*(self._shown(thread) for thread in found.threads))
        else:
            shown = [thread_shape(thread) for thread in found.threads]
        headers = page_headers(found.total, body.offset + body.limit)
        return json_answer([selected(each, select) for each in shown], headers=headers)

    @operation(Answer(int), raises=(UnsupportedOptionError, *SEARCHING))
    async def count(self, request: web.Request, body: ThreadFilter) -> web.Response:
        """``POST /threads/count``: how many threads fit, a bare number."""
        return json_answer(await self._facade.count_threads(_asked_by(request, body)))

    async def _shown(self, thread: ThreadRecord) -> ThreadShown:
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
