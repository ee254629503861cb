"""The route that makes stream tokens."""

from aiohttp import web

from api.answer_schemas import StreamTokenShown
from api.answers import json_answer
from api.auth.stream_tokens import StreamTokens
from api.identity import caller_of, user_of
from api.operations import Answer, operation
from api.run_watching import run_of
from runs import RunsFacade


class TokenRoutes:
    """Hands out tokens that open one run for reading."""

    def __init__(self, facade: RunsFacade, tokens: StreamTokens) -> None:
        self._facade = facade
        self._tokens = tokens

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of tokens."""
        return [web.post("/threads/{thread_id}/runs/{run_id}/token", self.mint)]

    @operation(Answer(StreamTokenShown))
    async def mint(self, request: web.Request) -> web.Response:
        """``POST .../token``: make a token for the URLs of the run's stream and file."""
        run = run_of(request)
        await self._facade.get_run(*run, user_id=user_of(request))
        token = await self._tokens.mint(run, caller_of(request))
        shape: StreamTokenShown = {
            "token": token.text,
            "thread_id": run.thread_id,
            "run_id": run.run_id,
            "expires_at": token.expires_at.isoformat(timespec="seconds"),
        }
        return json_answer(shape, headers={"Cache-Control": "no-store"})
