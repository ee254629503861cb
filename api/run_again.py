"""The routes about what a run was given: show it, and give it to another run."""

from aiohttp import web

from api.answer_schemas import GivenShown, RunShown
from api.answers import json_answer
from api.expected_errors import CREATING
from api.identity import user_of
from api.locations import RUN_HEADERS, run_headers
from api.operations import Answer, operation
from api.run_watching import run_of
from api.schemas import RunHeaders
from api.shapes import run_shape
from api.unattended import UnattendedWork
from runs import RunsFacade, spec_again


class RunAgainRoutes:
    """Shows inputs, which lists leave out, and repeats runs without telling their secrets."""

    def __init__(self, facade: RunsFacade, unattended: UnattendedWork) -> None:
        self._facade = facade
        self._unattended = unattended

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of inputs."""
        run = "/threads/{thread_id}/runs/{run_id}"
        return [web.get(f"{run}/input", self.input), web.post(f"{run}/again", self.again)]

    @operation(Answer(GivenShown))
    async def input(self, request: web.Request) -> web.Response:
        """``GET .../input``: what the run was given, as it came in."""
        run = await self._facade.get_run(*run_of(request), user_id=user_of(request))
        given: GivenShown = {"input": run.kwargs.get("input"), "command": run.kwargs.get("command")}
        return json_answer(given)

    @operation(Answer(RunShown, headers=RUN_HEADERS), raises=CREATING)
    async def again(self, request: web.Request, headers: RunHeaders) -> web.Response:
        """``POST .../again``: start a run that is given the same as this one."""
        run = await self._facade.get_run(*run_of(request), user_id=user_of(request))
        asked = {"idempotency_key": headers.idempotency_key, "user_id": user_of(request)}
        spec = spec_again(run).model_copy(update=asked)
        creation = self._facade.create_background(spec)
        record = await self._unattended.finish(creation, "create run")
        return json_answer(run_shape(record), headers=run_headers(record.thread_id, record.run_id))
