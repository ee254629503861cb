"""The routes of crons."""

from datetime import datetime
from typing import Final

from aiohttp import web

from api.answer_schemas import CronFound, CronShown
from api.answers import PAGE_HEADERS, done, json_answer, page_headers
from api.cron_schemas import CronCreate, CronFilter, CronPatch, CronSearch
from api.errors import ContradictoryOptionsError
from api.http_settings import HttpSettings
from api.identity import user_of
from api.operations import DONE, Answer, operation
from api.shapes import redacted
from api.threads import thread_of
from api.unattended import UnattendedWork
from bridge import check_id, timestamp
from runs import (
    AssistantNotFoundError,
    CronRecord,
    InvalidScheduleError,
    RunsFacade,
    ThreadNotFoundError,
    TooManyCronsError,
    UnsupportedOptionError,
    WebhookRefusedError,
)
from runs.fields import selected

_CRON: Final = "/runs/crons/{cron_id}"
#: Of a run's options, those that are not shown as part of what the cron creates.
_NOT_PAYLOAD: Final = frozenset({"user_id", "idempotency_key", "thread_id", "if_not_exists"})

#: What can be wrong with a cron beside its form.
_PLANNING: Final = (
    ContradictoryOptionsError,
    InvalidScheduleError,
    UnsupportedOptionError,
    WebhookRefusedError,
)
_CREATING: Final = (
    *_PLANNING,
    AssistantNotFoundError,
    ThreadNotFoundError,
    TooManyCronsError,
)


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

    @operation(Answer(CronShown), raises=_CREATING)
    async def create(self, request: web.Request, body: CronCreate) -> web.Response:
        """``POST /threads/{thread_id}/runs/crons``: create runs on this thread by a schedule."""
        return await self._create(request, thread_of(request), body)

    @operation(Answer(CronShown), raises=_CREATING)
    async def create_stateless(self, request: web.Request, body: CronCreate) -> web.Response:
        """``POST /runs/crons``: create runs in threads of their own by a schedule."""
        return await self._create(request, None, body)

    async def _create(
        self, request: web.Request, thread_id: str | None, body: CronCreate
    ) -> web.Response:
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

    @operation(Answer(CronShown))
    async def get(self, request: web.Request) -> web.Response:
        """``GET /runs/crons/{cron_id}``: a cron, and when it fires next."""
        cron = await self._facade.crons.get(_cron_of(request), user_id=user_of(request))
        return json_answer(cron_shape(cron))

    @operation(Answer(CronShown), raises=_PLANNING)
    async def update(self, request: web.Request, body: CronPatch) -> web.Response:
        """``PATCH /runs/crons/{cron_id}``: change it, for runs to come."""
        changes = body.changes()
        update = self._facade.crons.update(_cron_of(request), changes, user_id=user_of(request))
        return json_answer(cron_shape(await self._unattended.finish(update, "update cron")))

    @operation(DONE)
    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /runs/crons/{cron_id}``: delete it; runs that it has created stay."""
        deletion = self._facade.crons.delete(_cron_of(request), user_id=user_of(request))
        await self._unattended.finish(deletion, "delete cron")
        return done()

    @operation(Answer(list[CronFound], headers=PAGE_HEADERS))
    async def search(self, request: web.Request, body: CronSearch) -> web.Response:
        """``POST /runs/crons/search``: crons, a page at a time."""
        query = body.query().model_copy(update={"user_id": user_of(request)})
        found = await self._facade.crons.search(query)
        end = body.offset + body.limit
        shown = [
            selected({**cron_shape(each), "now": timestamp()}, body.select)
            for each in found[body.offset : end]
        ]
        return json_answer(shown, headers=page_headers(len(found), end))

    @operation(Answer(int))
    async def count(self, request: web.Request, body: CronFilter) -> web.Response:
        """``POST /runs/crons/count``: how many crons fit, a bare number."""
        query = body.query().model_copy(update={"user_id": user_of(request)})
        return json_answer(len(await self._facade.crons.search(query)))


def _cron_of(request: web.Request) -> str:
    return check_id("cron_id", request.match_info["cron_id"])


def cron_shape(cron: CronRecord) -> CronShown:
    """Show a cron."""
    payload = cron.spec.model_dump(mode="json", exclude_none=True, exclude=set(_NOT_PAYLOAD))
    return {
        "cron_id": cron.cron_id,
        "assistant_id": cron.assistant_id,
        "thread_id": cron.thread_id,
        "on_run_completed": cron.spec.on_completion if cron.thread_id is None else None,
        "end_time": _shown_time(cron.end_time),
        "schedule": cron.schedule,
        "timezone": cron.timezone,
        "created_at": cron.created_at.isoformat(),
        "updated_at": cron.updated_at.isoformat(),
        "payload": redacted({**payload, "schedule": cron.schedule}),
        "user_id": cron.user_id,
        "next_run_date": _shown_time(cron.next_at),
        "metadata": redacted(cron.spec.metadata),
        "enabled": cron.enabled,
    }


def _shown_time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
