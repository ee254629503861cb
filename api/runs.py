"""The routes of runs: create, look at, and cancel."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

from aiohttp import web

from api.answer_schemas import RunShown
from api.answers import PAGE_HEADERS, accepted, done, json_answer, page_headers
from api.expected_errors import CREATING, SEARCHING
from api.http_settings import HttpSettings
from api.identity import user_of
from api.locations import RUN_HEADERS, run_headers
from api.operations import ACCEPTED, DONE, Answer, operation
from api.parameters import SELECT
from api.run_schemas import RunFilter, RunList, RunSearch
from api.run_watching import RunWatching, run_of, spec_of
from api.schemas import Page, RunCancel, RunCreate, RunHeaders
from api.shapes import run_shape
from api.stream_modes import split_list
from api.threads import thread_of
from api.unattended import UnattendedWork
from runs import (
    RunInterruptedError,
    RunNotCancellableError,
    RunNotFoundError,
    RunQuery,
    RunsFacade,
    RunSpec,
    RunStatus,
    UnsupportedOptionError,
)
from runs.fields import selected

_Runs: TypeAlias = list[RunShown]


class RunRoutes:
    """Creates, shows and cancels runs."""

    def __init__(
        self,
        facade: RunsFacade,
        watching: RunWatching,
        unattended: UnattendedWork,
        settings: HttpSettings,
    ) -> None:
        self._facade = facade
        self._watching = watching
        self._unattended = unattended
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of runs, streams and waits apart."""
        run = "/threads/{thread_id}/runs/{run_id}"
        return [
            web.post("/threads/{thread_id}/runs", self.create),
            web.post("/runs", self.create_stateless),
            web.get("/threads/{thread_id}/runs", self.list),
            web.post("/runs/search", self.search),
            web.post("/runs/count", self.count),
            web.post("/runs/statuses/count", self.tally),
            web.get(run, self.get),
            web.delete(run, self.delete),
            web.post(f"{run}/cancel", self.cancel),
        ]

    @operation(Answer(RunShown, headers=RUN_HEADERS), raises=CREATING)
    async def create(
        self, request: web.Request, body: RunCreate, headers: RunHeaders
    ) -> web.Response:
        """``POST /threads/{thread_id}/runs``: start a run and answer at once."""
        spec = spec_of(request, thread_of(request), body, headers, self._settings)
        return await self._created(spec)

    @operation(Answer(RunShown, headers=RUN_HEADERS), raises=CREATING)
    async def create_stateless(
        self, request: web.Request, body: RunCreate, headers: RunHeaders
    ) -> web.Response:
        """``POST /runs``: start a run in a thread of its own and answer at once."""
        return await self._created(spec_of(request, None, body, headers, self._settings))

    @operation(Answer(_Runs, headers=PAGE_HEADERS), raises=SEARCHING, parameters=(SELECT,))
    async def list(self, request: web.Request, query: RunList) -> web.Response:
        """``GET /threads/{thread_id}/runs``: the runs of a thread, the newest first."""
        thread_id, user_id = thread_of(request), user_of(request)
        await self._facade.get_thread(thread_id, user_id=user_id)
        wanted = query.query().model_copy(update={"thread_id": thread_id, "user_id": user_id})
        select = split_list("select", request.query.getall("select", []))
        return await self._page(wanted, query, select)

    @operation(Answer(_Runs, headers=PAGE_HEADERS), raises=SEARCHING)
    async def search(self, request: web.Request, body: RunSearch) -> web.Response:
        """``POST /runs/search``: runs of all threads, a page at a time."""
        return await self._page(body.asked_by(user_of(request)), body)

    @operation(Answer(int), raises=SEARCHING)
    async def count(self, request: web.Request, body: RunFilter) -> web.Response:
        """``POST /runs/count``: how many runs fit, a bare number."""
        return json_answer(await self._facade.count_runs(body.asked_by(user_of(request))))

    @operation(Answer(dict[RunStatus, int]), raises=SEARCHING)
    async def tally(self, request: web.Request, body: RunFilter) -> web.Response:
        """``POST /runs/statuses/count``: how many runs fit, a number for each status."""
        return json_answer(await self._facade.tally_runs(body.asked_by(user_of(request))))

    async def _page(self, query: RunQuery, page: Page, select: Sequence[str] = ()) -> web.Response:
        found = await self._facade.search_runs(query, limit=page.limit, offset=page.offset)
        headers = page_headers(found.total, page.offset + page.limit)
        shown = [selected(run_shape(run), select or None) for run in found.runs]
        return json_answer(shown, headers=headers)

    @operation(Answer(RunShown))
    async def get(self, request: web.Request) -> web.Response:
        """``GET /threads/{thread_id}/runs/{run_id}``: a run."""
        run = run_of(request)
        return json_answer(run_shape(await self._facade.get_run(*run, user_id=user_of(request))))

    @operation(DONE)
    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /threads/{thread_id}/runs/{run_id}``: delete a run."""
        run = run_of(request)
        deletion = self._facade.delete_run(*run, user_id=user_of(request))
        if not await self._unattended.finish(deletion, "delete run"):
            raise RunNotFoundError(run.run_id)
        return done()

    @operation(
        ACCEPTED,
        Answer(RunShown | None, headers=RUN_HEADERS),
        raises=(RunNotCancellableError, UnsupportedOptionError),
    )
    async def cancel(self, request: web.Request, query: RunCancel) -> web.StreamResponse:
        """``POST .../cancel``: stop it; 202 at once, or 200 with the run once it ended.

        A run that is rolled back is gone then: the answer is ``null``.
        """
        query.refuse("reason")
        run, user_id = run_of(request), user_of(request)
        wish = self._facade.cancel(*run, action=query.action, user_id=user_id)
        await self._unattended.finish(wish, "cancel run")
        if not query.wait:
            return accepted()

        async def ended() -> object:
            try:
                with suppress(RunInterruptedError):  # what was asked for
                    await self._facade.join_wait(*run, user_id=user_id)
                return run_shape(await self._facade.get_run(*run, user_id=user_id))
            except RunNotFoundError:
                return None  # rolled back, so there is no run to show

        return await self._watching.waits.serve(request, run, ended)

    async def _created(self, spec: RunSpec) -> web.Response:
        creation = self._facade.create_background(spec)
        record = await self._unattended.finish(creation, "create run")
        return json_answer(run_shape(record), headers=run_headers(record.thread_id, record.run_id))
