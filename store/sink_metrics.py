"""What a sink tells Prometheus, and whoever restarts processes."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge import Health
from store.sink_status import SinkState, SinkStatus

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


def health_of(status: SinkStatus) -> Health:
    """Return a sink's health: it is well when it archives, waits or is paused."""
    return Health(status.state is not SinkState.FAILING, status.model_dump_json().encode())
