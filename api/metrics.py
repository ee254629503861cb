"""The figures of this process in Prometheus' text format.

Whoever has figures registers a collector that reads numbers which are kept anyway, or adds to a
counter; labels come from closed sets alone, never from what clients send.
"""

from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from api.log_metrics import LogCollector
from api.operations import Answer, operation

#: Where the figures of this application are registered.
METRICS: Final = web.AppKey("metrics", CollectorRegistry)


class MetricsRoutes:
    """Serves the figures.

    Args:
        registry: Its collectors run on the event loop; they must not wait.
        log: Of them, the one that asks the server first.
    """

    def __init__(self, registry: CollectorRegistry, log: LogCollector) -> None:
        self._registry = registry
        self._log = log

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves."""
        return [web.get("/metrics", self.metrics)]

    @operation(Answer(media_type="text/plain"))
    async def metrics(self, request: web.Request) -> web.Response:
        """``GET /metrics``: all figures, in the format that the scraper prefers."""
        await self._log.look()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})
