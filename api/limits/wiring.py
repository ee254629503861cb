"""What an application keeps of its limits, for those who find it by the request."""

from aiohttp import web
from prometheus_client import CollectorRegistry

from api.limits.bodies import BODIES, Bodies
from api.limits.connection import CONNECTION_LIMITS, ConnectionLimits
from api.limits.connection_room import ConnectionRoom
from api.limits.refusals import REFUSALS, Refusals
from api.limits.settings import LimitSettings


def set_limits(
    app: web.Application, settings: LimitSettings, stall_s: float, registry: CollectorRegistry
) -> None:
    """Limit what an application takes from its clients.

    Args:
        app: The application, not served yet.
        settings: The limits.
        stall_s: Seconds after which a client that takes no byte is cut off.
        registry: Shows what is refused.
    """
    refusals = app[REFUSALS] = Refusals(registry)
    app.on_response_prepare.append(refusals.note_answer)
    app[BODIES] = Bodies(settings)
    app[CONNECTION_LIMITS] = ConnectionLimits(settings, stall_s, ConnectionRoom(settings), refusals)
