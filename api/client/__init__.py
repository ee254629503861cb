"""Use jetrun from another service over HTTP: create, publish, follow, await, cancel.

It needs a gateway's URL and nothing else of jetrun; what speaks NATS is in :mod:`bridge`.
"""

from api.client.client import Client, Run
from api.client.errors import GatewayRequestError, RunFailedError
from api.client.events import Event, Gap
from api.client.refusals import refusal
from api.client.run_stream import END_EVENT, RunStream
from api.client.sse import SseMessage

__all__ = [
    "END_EVENT",
    "Client",
    "Event",
    "Gap",
    "GatewayRequestError",
    "Run",
    "RunFailedError",
    "RunStream",
    "SseMessage",
    "refusal",
]
