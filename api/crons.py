"""The routes of crons."""

from typing import Any, Final

from aiohttp import web

from api.answers import done, json_answer, page_headers
from api.cron_schemas import CronCreate, CronFilter, CronPatch, CronSearch
from api.http_settings import HttpSettings
from api.identity import user_of
from api.request_bodies import read_body
from api.shapes import redacted
from api.threads import thread_of
from api.unattended import UnattendedWork
from bridge import check_id, timestamp
from runs import CronRecord, RunsFacade

_CRON: Final = "/runs/crons/{cron_id}"
#: Of a run's options, those that are not shown as part of what the cron creates.
_NOT_PAYLOAD: Final = frozenset({"user_id", "idempotency_key", "thread_id", "if_not_exists"})


class CronRoutes:
    """Creates, shows, changes and deletes crons."""

    def __init__(
        self, facade: RunsFacade, unattended: UnattendedWork, settings: HttpSettings
    ) -> None:
        self._facade = facade
        self._unattended = unattended
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of crons."""
        return [
            web.post("/runs/crons", self.create_stateless),
            web.post("/threads/{thread_id}/runs/crons", self.create),
            web.post("/runs/crons/search", self.search),
            web.post("/runs/crons/count", self.count),
            web.get(_CRON, self.get),
            web.patch(_CRON, self.update),
            web.delete(_CRON, self.delete),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """``POST /threads/{thread_id}/runs/crons``: runs on this thread."""
        return await self._create(request, thread_of(request))

    async def create_stateless(self, request: web.Request) -> web.Response:
        """``POST /runs/crons``: runs that have threads of their own."""
        return await self._create(request, None)

    async def _create(self, request: web.Request, thread_id: str | None) -> web.Response:
        body = await read_body(request, CronCreate)
        owner = {"user_id": user_of(request)}
        spec = body.spec(thread_id, self._settings).model_copy(update=owner)
        creation = self._facade.crons.create(
            spec,
            body.schedule,
            timezone=body.timezone,
            end_time=body.end_time,
            enabled=body.enabled is not False,
        )
        return json_answer(cron_shape(await self._unattended.finish(creation, "create cron")))

    async def get(self, request: web.Request) -> web.Response:
        """``GET /runs/crons/{cron_id}``."""
        cron = await self._facade.crons.get(_cron_of(request), user_id=user_of(request))
        return json_answer(cron_shape(cron))

    async def update(self, request: web.Request) -> web.Response:
        """``PATCH /runs/crons/{cron_id}``."""
        changes = (await read_body(request, CronPatch)).changes()
        update = self._facade.crons.update(_cron_of(request), changes, user_id=user_of(request))
        return json_answer(cron_shape(await self._unattended.finish(update, "update cron")))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /runs/crons/{cron_id}``."""
        deletion = self._facade.crons.delete(_cron_of(request), user_id=user_of(request))
        await self._unattended.finish(deletion, "delete cron")
        return done()

    async def search(self, request: web.Request) -> web.Response:
        """``POST /runs/crons/search``."""
        wanted = await read_body(request, CronSearch)
        query = wanted.query().model_copy(update={"user_id": user_of(request)})
        found = await self._facade.crons.search(query)
        end = wanted.offset + wanted.limit
        shown = [{**cron_shape(each), "now": timestamp()} for each in found[wanted.offset : end]]
        if wanted.select is not None:
            shown = [{name: each[name] for name in wanted.select} for each in shown]
        return json_answer(shown, headers=page_headers(len(found), end))

    async def count(self, request: web.Request) -> web.Response:
        """``POST /runs/crons/count``: a bare number."""
        wanted = await read_body(request, CronFilter)
        query = wanted.query().model_copy(update={"user_id": user_of(request)})
        return json_answer(len(await self._facade.crons.search(query)))


def _cron_of(request: web.Request) -> str:
    return check_id("cron_id", request.match_info["cron_id"])


def cron_shape(cron: CronRecord) -> dict[str, Any]:
    """Show a cron."""
    payload = cron.spec.model_dump(mode="json", exclude_none=True, exclude=set(_NOT_PAYLOAD))
    return {
        "cron_id": cron.cron_id,
        "assistant_id": cron.assistant_id,
        "thread_id": cron.thread_id,
        "on_run_completed": cron.spec.on_completion if cron.thread_id is None else None,
        "end_time": cron.end_time and cron.end_time.isoformat(),
        "schedule": cron.schedule,
        "timezone": cron.timezone,
        "created_at": cron.created_at.isoformat(),
        "updated_at": cron.updated_at.isoformat(),
        "payload": redacted({**payload, "schedule": cron.schedule}),
        "user_id": cron.user_id,
        "next_run_date": cron.next_at and cron.next_at.isoformat(),
        "metadata": redacted(cron.spec.metadata),
        "enabled": cron.enabled,
    }
