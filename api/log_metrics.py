"""What a gateway's bridge counts, and what log, job queue and sink look like from here.

Prometheus asks each process; a sink that is gone, or a queue that nobody serves, has none to ask.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge import BridgeError, JetStreamBridge, LogState
from store import SinkRecords, SinkState, SinkStatus

_LOG = logging.getLogger(__name__)

#: A scrape waits so long for the server; then it is told without what only the server knows.
LOOK_WITHIN_S: Final = 1.0


class LogCollector(Collector):
    """The bridge's own figures, and those of the last look; without an answer there are none.

    Args:
        bridge: The log, open.
    """

    def __init__(self, bridge: JetStreamBridge) -> None:
        self._bridge = bridge
        self._sink = SinkRecords(bridge)
        self._seen: tuple[LogState, SinkStatus | None] | None = None

    async def look(self) -> None:
        """Ask the server now."""
        self._seen = None
        if not self._bridge.is_connected:
            return  # a scrape need not wait for what is known already
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                self._seen = await self._bridge.log_state(), await self._sink.find_status()
        except (BridgeError, TimeoutError) as error:
            _LOG.debug("metrics.log.unknown", extra={"error": str(error)})

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        yield from self._bridge.metrics.collect()
        yield GaugeMetricFamily(
            "jetrun_log_answers", "1 if the log answered in time", float(self._seen is not None)
        )
        if self._seen is not None:
            log, sink = self._seen
            yield from _of_log(log)
            if sink is not None:
                yield from _of_archive(sink)


def _of_log(log: LogState) -> Iterator[Metric]:
    yield GaugeMetricFamily("jetrun_log_events", "Events that the log holds", log.events)
    yield GaugeMetricFamily("jetrun_log_bytes", "Bytes that the log takes", log.bytes)
    if log.limit_bytes is not None:
        yield GaugeMetricFamily(
            "jetrun_log_limit_bytes",
            "Bytes from which on ordinary events are refused",
            log.limit_bytes,
        )
    yield GaugeMetricFamily("jetrun_log_runs", "Runs of which the log holds an event", log.runs)
    yield GaugeMetricFamily("jetrun_log_consumers", "Consumers of the log", log.consumers)
    yield GaugeMetricFamily("jetrun_log_max_consumers", "Consumers at most", log.max_consumers)
    yield GaugeMetricFamily("jetrun_log_replicas", "Servers that shall keep it", log.replicas)
    yield GaugeMetricFamily(
        "jetrun_log_current_replicas", "Servers that have all of it", log.current_replicas
    )
    jobs = GaugeMetricFamily("jetrun_jobs", "Runs in the job queue", labels=["state"])
    jobs.add_metric(["waiting"], log.waiting_jobs)
    jobs.add_metric(["held"], log.held_jobs)
    yield jobs


def _of_archive(sink: SinkStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "jetrun_archive_lag_events", "Events of the log that are not archived", sink.lag_events
    )
    yield GaugeMetricFamily(
        "jetrun_archive_lag_seconds", "How long the oldest of them has been waiting", sink.lag_s
    )
    states = GaugeMetricFamily("jetrun_archive_state", "1 for what the sink does", labels=["state"])
    for state in SinkState:
        if state is not SinkState.STANDBY:  # of several sinks, the one that writes says how it is
            states.add_metric([state.value], float(state is sink.state))
    yield states
