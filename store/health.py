"""The sink's figures over HTTP, for Prometheus and for whoever restarts processes; loopback only.

``/metrics`` is Prometheus' text format. ``/health`` is the sink's status as JSON: 200 while it
does what it shall, be it waiting or paused, and 503 while server or disk refuse.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from store.sink_status import SinkState, SinkStatus

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_LOG = logging.getLogger(__name__)

_HOST: Final = "127.0.0.1"
_PREFIX: Final = "jetrun_sink"

GetStatus = Callable[[], SinkStatus]


class SinkCollector(Collector):
    """The figures of one sink, as of the moment of asking.

    Args:
        status: Returns what the sink is doing.
    """

    def __init__(self, status: GetStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        status = self._status()
        yield CounterMetricFamily(f"{_PREFIX}_events", "Events archived", value=status.events)
        yield CounterMetricFamily(
            f"{_PREFIX}_failures",
            "Attempts that server or disk refused",
            value=status.failures,
        )
        gauges = {
            "lag_events": ("Events of the log that are not archived", status.lag_events),
            "lag_seconds": ("How long the oldest of them has been waiting", status.lag_s),
            "events_per_second": ("Events archived a second lately", status.events_per_s),
            "reached_sequence": ("Sequence in the log that is archived", status.reached_seq),
        }
        for name, (meaning, value) in gauges.items():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, value=value)
        states = GaugeMetricFamily(f"{_PREFIX}_state", "1 for what it is doing", labels=["state"])
        for state in SinkState:
            if state is not SinkState.AWAY:
                states.add_metric([state.value], float(state is status.state))
        yield states


@contextmanager
def serving_health(port: int | None, status: GetStatus) -> Iterator[int | None]:
    """Answer over HTTP, in a thread of its own, for the length of a context.

    Args:
        port: Of 127.0.0.1; 0 takes a free one, ``None`` does not listen.
        status: Returns what the sink is doing; called from that thread.

    Yields:
        The port.

    Raises:
        OSError: The port is taken.
    """
    if port is None:
        yield None
        return
    server = make_server(_HOST, port, _application(status), _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    _LOG.info("sink.health", extra={"url": f"http://{_HOST}:{server.server_port}"})
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(status: GetStatus) -> "WSGIApplication":
    registry = CollectorRegistry()
    registry.register(SinkCollector(status))
    metrics: WSGIApplication = make_wsgi_app(registry)

    def answer(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start)
            case "/health":
                now = status()
                is_well = now.state is not SinkState.FAILING
                start(
                    "200 OK" if is_well else "503 Service Unavailable",
                    [("Content-Type", "application/json")],
                )
                return [now.model_dump_json().encode() + b"\n"]
            case _:
                start("404 Not Found", [("Content-Type", "text/plain")])
                return [b"/metrics and /health are here\n"]

    return answer


class _Server(WSGIServer):
    # Whoever connects and says nothing must not keep others waiting for ever.
    timeout = 5.0


class _Quiet(WSGIRequestHandler):
    timeout = 5.0

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Log nothing: it is asked every few seconds."""
