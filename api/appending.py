"""The route by which services append events to runs without speaking NATS."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from api.answer_schemas import EventStored
from api.answers import json_answer
from api.identity import user_of
from api.limits.errors import TooManyEventsError
from api.limits.event_rates import EventRates
from api.operations import Answer, operation
from api.run_watching import run_of
from api.schemas import EventPublish
from bridge import (
    ConflictError,
    EventTooLargeError,
    InvalidEventError,
    ReservedEventError,
    StreamBridge,
    StreamCapacityExceededError,
    StreamTerminatedError,
)
from runs import RunsFacade

_APPENDING: Final = (
    ConflictError,
    EventTooLargeError,
    InvalidEventError,
    ReservedEventError,
    StreamCapacityExceededError,
    StreamTerminatedError,
    TooManyEventsError,
)


class AppendRoutes:
    """Appends events to runs."""

    def __init__(self, bridge: StreamBridge, facade: RunsFacade, rates: EventRates) -> None:
        self._bridge = bridge
        self._facade = facade
        self._rates = rates

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves."""
        return [web.post("/threads/{thread_id}/runs/{run_id}/events", self.append)]

    @operation(Answer(EventStored, status=HTTPStatus.CREATED), raises=_APPENDING)
    async def append(self, request: web.Request, body: EventPublish) -> web.Response:
        """``POST .../events``: append an event, for who does not speak NATS."""
        run = run_of(request)
        await self._facade.get_run(*run, user_id=user_of(request))
        self._rates.take(run.run_id)
        event_id = await self._bridge.publish(
            run.run_id,
            body.event,
            body.data,
            category=body.category,
            metadata=body.metadata,
            event_id=body.event_id,
        )
        return json_answer({"id": event_id}, status=HTTPStatus.CREATED)
