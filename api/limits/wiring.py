"""What an application keeps of its limits, for those who find it by the request."""

from aiohttp import web
from prometheus_client import CollectorRegistry

from api.limits.bodies import BODIES, Bodies
from api.limits.connection import CONNECTION_LIMITS, ConnectionLimits
from api.limits.connection_room import ConnectionRoom
from api.limits.overload import OVERLOAD, Overload
from api.limits.refusals import REFUSALS, Refusals
from api.settings import Settings
from bridge import JetStreamBridge


def set_limits(
    app: web.Application, settings: Settings, bridge: JetStreamBridge, registry: CollectorRegistry
) -> None:
    """Limit what an application takes from its clients.

    Args:
        app: The application, not served yet.
        settings: Of the process.
        bridge: Tells how many requests it has under way.
        registry: Shows what is refused.
    """
    limits = settings.limits
    refusals = app[REFUSALS] = Refusals()
    registry.register(refusals)
    app.on_response_prepare.append(refusals.note_answer)
    app[BODIES] = Bodies(limits)
    app[CONNECTION_LIMITS] = ConnectionLimits(
        limits, settings.http.stall_s, ConnectionRoom(limits), refusals
    )
    overload = app[OVERLOAD] = Overload(limits, lambda: bridge.unanswered_requests)
    app.cleanup_ctx.append(overload.sampling)
