"""The routes of runs: create, look at, cancel, and publish to."""

from contextlib import suppress

from aiohttp import web

from api.answers import accepted, done, json_answer
from api.http_settings import HttpSettings
from api.locations import run_headers
from api.request_bodies import read_body, read_query
from api.run_watching import RunWatching, read_spec, run_of
from api.schemas import EventPublish, RunCancel, RunList
from api.shapes import run_shape
from api.threads import thread_of
from api.unattended import UnattendedWork
from bridge import StreamBridge
from runs import RunInterruptedError, RunNotFoundError, RunsFacade, RunSpec


class RunRoutes:
    """Creates, shows and cancels runs."""

    def __init__(
        self,
        bridge: StreamBridge,
        facade: RunsFacade,
        watching: RunWatching,
        unattended: UnattendedWork,
        settings: HttpSettings,
    ) -> None:
        self._bridge = bridge
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
            web.get(run, self.get),
            web.delete(run, self.delete),
            web.post(f"{run}/cancel", self.cancel),
            web.post(f"{run}/events", self.publish),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """``POST /threads/{thread_id}/runs``: start a run and answer at once."""
        spec = await read_spec(request, thread_of(request), self._settings)
        return await self._created(spec)

    async def create_stateless(self, request: web.Request) -> web.Response:
        """``POST /runs``: start a run in a thread of its own and answer at once."""
        return await self._created(await read_spec(request, None, self._settings))

    async def list(self, request: web.Request) -> web.Response:
        """``GET /threads/{thread_id}/runs``, newest first."""
        query = read_query(request, RunList)
        found = await self._facade.list_runs(
            thread_of(request), limit=query.limit, offset=query.offset, status=query.status
        )
        return json_answer([run_shape(run) for run in found])

    async def get(self, request: web.Request) -> web.Response:
        """``GET /threads/{thread_id}/runs/{run_id}``."""
        run = run_of(request)
        return json_answer(run_shape(await self._facade.get_run(run.thread_id, run.run_id)))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /threads/{thread_id}/runs/{run_id}``; goes on when the client leaves."""
        run = run_of(request)
        deletion = self._facade.delete_run(run.thread_id, run.run_id)
        if not await self._unattended.finish(deletion, "delete run"):
            raise RunNotFoundError(run.run_id)
        return done()

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """``POST .../cancel``: 202 once the wish is stored, or 200 with the run once it ended.

        A run that is rolled back is gone then: the answer is ``null``.
        """
        run = run_of(request)
        query = read_query(request, RunCancel)
        wish = self._facade.cancel(run.thread_id, run.run_id, action=query.action)
        await self._unattended.finish(wish, "cancel run")
        if not query.wait:
            return accepted()

        async def ended() -> object:
            try:
                with suppress(RunInterruptedError):  # what was asked for
                    await self._facade.join_wait(run.thread_id, run.run_id)
                return run_shape(await self._facade.get_run(run.thread_id, run.run_id))
            except RunNotFoundError:
                return None  # rolled back, so there is no run to show

        return await self._watching.waits.serve(request, run, ended)

    async def publish(self, request: web.Request) -> web.Response:
        """``POST .../events``: append an event for a service that does not speak NATS."""
        run = run_of(request)
        body = await read_body(request, EventPublish)
        await self._facade.get_run(run.thread_id, run.run_id)
        event_id = await self._bridge.publish(
            run.run_id,
            body.event,
            body.data,
            category=body.category,
            metadata=body.metadata,
            event_id=body.event_id,
        )
        return json_answer({"id": event_id}, status=201)

    async def _created(self, spec: RunSpec) -> web.Response:
        creation = self._facade.create_background(spec)
        record = await self._unattended.finish(creation, "create run")
        return json_answer(run_shape(record), headers=run_headers(record.thread_id, record.run_id))
