"""The routes that act on many runs in one request."""

import asyncio
import logging
from contextlib import suppress

from aiohttp import web

from api.answer_schemas import RunShown
from api.answers import done, json_answer
from api.auth.audit import name_objects
from api.expected_errors import CREATING, SEARCHING
from api.http_settings import HttpSettings
from api.identity import user_of
from api.operations import DONE, Answer, operation
from api.schemas import RunBatch, RunsCancel, RunsCancelQuery
from api.shapes import run_shape
from api.unattended import UnattendedWork
from bridge import InvalidIdError, RunRef, check_id
from runs import (
    CancelAction,
    RunNotCancellableError,
    RunNotFoundError,
    RunRecord,
    RunsFacade,
    RunSpec,
)

_LOG = logging.getLogger(__name__)


class ManyRunsRoutes:
    """Creates and cancels runs by the dozen."""

    def __init__(
        self, facade: RunsFacade, unattended: UnattendedWork, settings: HttpSettings
    ) -> None:
        self._facade = facade
        self._unattended = unattended
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves."""
        return [web.post("/runs/batch", self.create), web.post("/runs/cancel", self.cancel)]

    @operation(Answer(list[RunShown]), raises=CREATING)
    async def create(self, request: web.Request, body: RunBatch) -> web.Response:
        """``POST /runs/batch``: start all of some runs, or none.

        When one is refused although it was not to be foreseen, those before it are rolled back,
        unless they have ended by then.
        """
        owner = {"user_id": user_of(request)}
        specs = [
            each.spec(_thread_of(each.thread_id), self._settings).model_copy(update=owner)
            for each in body.root
        ]
        records = await self._unattended.finish(self._create_all(specs), "create runs")
        name_objects(request, run_ids=[record.run_id for record in records])
        return json_answer([run_shape(record) for record in records])

    async def _create_all(self, specs: list[RunSpec]) -> list[RunRecord]:
        for spec in specs:
            await self._facade.check(spec)
        created: list[RunRecord] = []
        try:
            # One after the other: runs of one thread are executed in the order of the batch.
            for spec in specs:
                created.append(await self._facade.create_background(spec))  # noqa: PERF401 - what was created is undone when a later one is refused
        except BaseException:
            undoing = (self._undo(record) for record in created)
            for record, undone in zip(
                created, await asyncio.gather(*undoing, return_exceptions=True), strict=True
            ):
                if isinstance(undone, Exception):  # why the batch is refused matters more
                    facts = {"run_id": record.run_id, "error": f"{type(undone).__name__}: {undone}"}
                    _LOG.warning("batch.not_undone", extra=facts)
            raise
        return created

    async def _undo(self, record: RunRecord) -> None:
        with suppress(RunNotCancellableError, RunNotFoundError):  # it has ended already
            await self._facade.cancel(
                record.thread_id,
                record.run_id,
                action=CancelAction.ROLLBACK,
                user_id=record.user_id,
            )

    @operation(DONE, raises=(InvalidIdError, RunNotFoundError, *SEARCHING))
    async def cancel(
        self, request: web.Request, query: RunsCancelQuery, body: RunsCancel
    ) -> web.Response:
        """``POST /runs/cancel``: stop some runs of a thread, or all that are pending or running.

        Runs that have ended are passed over; of unknown ones the first is reported, once the
        others are stopped.
        """
        if body.run_ids is not None:
            runs = [RunRef.checked(body.thread_id, run_id) for run_id in body.run_ids]
            name_objects(request, thread_id=body.thread_id, run_ids=body.run_ids)
            stopping = self._cancel_these(runs, query.action, user_of(request))
            await self._unattended.finish(stopping, "cancel runs")
            return done()
        is_started = None if body.status == "all" else body.status == "running"
        thread_id = _thread_of(body.thread_id)
        name_objects(request, thread_id=thread_id)
        stopping = self._facade.cancel_all(
            thread_id=thread_id,
            is_started=is_started,
            action=query.action,
            user_id=user_of(request),
        )
        await self._unattended.finish(stopping, "cancel runs")
        return done()

    async def _cancel_these(
        self, runs: list[RunRef], action: CancelAction, user_id: str | None
    ) -> None:
        unknown: list[RunNotFoundError] = []
        for run in runs:
            try:
                with suppress(RunNotCancellableError):
                    await self._facade.cancel(*run, action=action, user_id=user_id)
            except RunNotFoundError as error:
                unknown.append(error)
        if unknown:
            raise unknown[0]


def _thread_of(thread_id: str | None) -> str | None:
    return None if thread_id is None else check_id("thread_id", thread_id)
