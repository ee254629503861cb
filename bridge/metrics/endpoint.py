"""The figures of a process over HTTP, on a port of its own, where it has no other.

``/metrics`` is Prometheus' text format. ``/health`` is for whoever restarts processes: 200 while
the process does what it shall, else 503; its content says more.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_LOG = logging.getLogger(__name__)


class Health(NamedTuple):
    """How a process is.

    Attributes:
        is_well: Whether it does what it shall.
        said: More of it, as JSON.
    """

    is_well: bool
    said: bytes


GetHealth = Callable[[], Health]


def process_registry(*collectors: Collector) -> CollectorRegistry:
    """Return a registry with the process's own figures (time, memory, files) and those given."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    return registry


@contextmanager
def serving_metrics(
    host: str, port: int | None, registry: CollectorRegistry, health: GetHealth
) -> Iterator[int | None]:
    """Answer over HTTP, in a thread of its own, for the length of a context.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one, ``None`` does not listen.
        registry: The figures; collected in that thread.
        health: Returns how the process is; called from that thread.

    Yields:
        The port.

    Raises:
        OSError: The port is taken, or the address is not ours.
    """
    if port is None:
        yield None
        return
    server = make_server(host, port, _application(registry, health), _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    _LOG.info("process.metrics", extra={"url": f"http://{host}:{server.server_port}/metrics"})
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(registry: CollectorRegistry, health: GetHealth) -> "WSGIApplication":
    metrics: WSGIApplication = make_wsgi_app(registry)

    def answer(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start)
            case "/health":
                now = health()
                status = "200 OK" if now.is_well else "503 Service Unavailable"
                start(status, [("Content-Type", "application/json")])
                return [now.said + b"\n"]
            case _:
                start("404 Not Found", [("Content-Type", "text/plain")])
                return [b"/metrics and /health are here\n"]

    return answer


class _Server(WSGIServer):
    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the library's
        """Log what broke off; the library would print it into the process's log of JSON lines."""
        _LOG.debug("process.metrics.broken", exc_info=True)


class _Quiet(WSGIRequestHandler):
    # Whoever connects and says nothing must not keep others waiting for ever.
    timeout = 5.0

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing: it is asked every few seconds."""
