"""The doctor over HTTP."""

from aiohttp import web

from api.answers import json_answer
from api.doctor.diagnosis import diagnose
from api.doctor.report import Report
from api.operations import Answer, operation
from api.settings import Settings


class DoctorRoutes:
    """Serves what the doctor says, as seen from the gateway.

    Args:
        settings: Of the process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves."""
        return [web.get("/doctor", self.doctor)]

    @operation(Answer(Report))
    async def doctor(self, _: web.Request) -> web.Response:
        """``GET /doctor``: what an acknowledgement is worth here, what is wrong, and what to do."""
        return json_answer((await diagnose(self._settings)).model_dump(mode="json"))
