"""The figures of this process in Prometheus' text format.

Whoever has figures registers a collector that reads numbers which are kept anyway, or adds to a
counter; labels come from closed sets alone, never from what clients send.
"""

from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

#: Where the figures of this application are registered.
METRICS: Final = web.AppKey("metrics", CollectorRegistry)


def process_metrics() -> CollectorRegistry:
    """Return a registry that has the process's own figures: processor time, memory, open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


class MetricsRoutes:
    """Serves the figures.

    Args:
        registry: Collectors run on the event loop, one scrape at a time; they must not wait.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves."""
        return [web.get("/metrics", self.metrics)]

    async def metrics(self, request: web.Request) -> web.Response:
        """``GET /metrics``: all figures, in the format that the scraper prefers."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})
