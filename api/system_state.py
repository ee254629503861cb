"""The route that tells operators how the whole system is: streams, queues, archive, retention."""

import asyncio
from dataclasses import asdict

from aiohttp import web

from api.answer_schemas import SystemState
from api.answers import json_answer
from api.operations import Answer, operation
from api.settings import Settings
from bridge import JetStreamBridge
from store import SinkRecords


class SystemStateRoutes:
    """Looks at what NATS and the sink say of themselves, at the moment of asking."""

    def __init__(self, bridge: JetStreamBridge, settings: Settings) -> None:
        self._bridge = bridge
        self._sink = SinkRecords(bridge)
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of the system."""
        return [web.get("/system", self.state)]

    @operation(Answer(SystemState))
    async def state(self, _: web.Request) -> web.Response:
        """``GET /system``: how streams, job queues and the archive are at this moment."""
        streams, queues, sink = await asyncio.gather(
            self._bridge.assets.streams(),
            self._bridge.assets.queues(),
            self._sink.find_status(),
        )
        return json_answer(
            {
                "streams": [asdict(stream) for stream in streams],
                "queues": [asdict(queue) for queue in queues],
                "archive": None if sink is None else sink.model_dump(mode="json"),
                "retention": self._settings.retention.model_dump(mode="json"),
            }
        )
