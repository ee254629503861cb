"""The routes of the gateway itself: is it there, can it work, what is it."""

import asyncio
from importlib.metadata import version
from typing import Final

from aiohttp import web

from api.answer_schemas import (
    CallerShown,
    JsonObject,
    Liveness,
    Readiness,
    ServerInfo,
    SignOfLife,
)
from api.answers import json_answer
from api.asyncapi import asyncapi_document
from api.errors import GatewayClosingError
from api.identity import caller_of
from api.open_streams import OpenStreams
from api.operations import Answer, operation
from bridge import JetStreamBridge, UnavailableError
from store import SinkRecords

#: A load balancer asks often: a server that takes longer counts as away.
READY_WITHIN_S: Final = 2.0

#: To strangers, who may ask as load balancers do; an error can name files.
_SHOWN_OF_SINK: Final = {"state", "lag_events", "lag_s", "updated_at"}
_FLAGS: Final = {"assistants": True, "crons": True, "langsmith": False}


class SystemRoutes:
    """Tells machines and people about this process."""

    def __init__(self, bridge: JetStreamBridge, open_streams: OpenStreams, prefix: str) -> None:
        self._bridge = bridge
        self._sink = SinkRecords(bridge)
        self._open_streams = open_streams
        self._asyncapi = asyncapi_document(prefix)

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves about itself."""
        return [
            web.get("/ok", self.ok),
            web.get("/info", self.info),
            web.get("/livez", self.live),
            web.get("/readyz", self.ready),
            web.get("/asyncapi.json", self.asyncapi),
        ]

    @operation(Answer(SignOfLife))
    async def ok(self, _: web.Request) -> web.Response:
        """``GET /ok``: the platform's sign of life."""
        return json_answer({"ok": True})

    @operation(Answer(ServerInfo))
    async def info(self, request: web.Request) -> web.Response:
        """``GET /info``: what this server is and what it cannot do, and who it thinks is asking."""
        caller = caller_of(request)
        known: CallerShown = {
            "user_id": caller.user_id,
            "role": caller.role.value,
            "scopes": sorted(scope.value for scope in caller.scopes),
        }
        facts = {"name": "jetrun", "version": version("jetrun"), "flags": _FLAGS}
        return json_answer({**facts, "caller": known})

    @operation(Answer(JsonObject))
    async def asyncapi(self, _: web.Request) -> web.Response:
        """``GET /asyncapi.json``: what other programs meet on NATS."""
        return json_answer(self._asyncapi)

    @operation(Answer(Liveness))
    async def live(self, _: web.Request) -> web.Response:
        """``GET /livez``: 200 while the process answers at all."""
        return json_answer({"status": "alive"})

    @operation(Answer(Readiness), raises=(GatewayClosingError, UnavailableError))
    async def ready(self, _: web.Request) -> web.Response:
        """``GET /readyz``: 200 while this gateway takes requests and its log answers.

        How the archive is goes with it and does not count: a gateway serves from the log.
        """
        if self._open_streams.is_closing:
            raise GatewayClosingError
        if not self._bridge.is_connected:
            raise UnavailableError("no connection")
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await self._bridge.last_sequence()
                sink = await self._sink.find_status()
        except TimeoutError:
            raise UnavailableError("the log's last sequence") from None
        archive = None if sink is None else sink.model_dump(mode="json", include=_SHOWN_OF_SINK)
        return json_answer({"status": "ready", "archive": archive})
