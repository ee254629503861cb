"""The figures of a bridge, as Prometheus asks for them.

Collecting asks nobody and may happen in any thread: it reads numbers that are kept anyway, so it
costs the publishers and readers nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bridge.connection import Connection
from bridge.events import GapReason
from bridge.metrics.following import Fall
from bridge.metrics.leases import LeaseFigures
from bridge.tail import Tails
from bridge.thread_follower import ThreadTails
from bridge.writers import RunWriters

_Value = TypeVar("_Value", bound=str)


@dataclass(frozen=True, slots=True)
class BridgeCollector(Collector):
    """The figures of one bridge."""

    connection: Connection
    writers: RunWriters
    tails: Tails
    thread_tails: ThreadTails
    leases: LeaseFigures

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        yield GaugeMetricFamily(
            "jetrun_nats_connected", "1 while NATS is there", float(self.connection.is_connected)
        )
        yield CounterMetricFamily(
            "jetrun_nats_disconnects", "How often the connection broke", self.connection.losses
        )
        yield from self._publishing()
        yield from self._following()
        yield from self._holding()

    def _publishing(self) -> Iterator[Metric]:
        figures = self.writers.figures
        yield CounterMetricFamily("jetrun_publish_events", "Events stored", figures.events)
        yield HistogramMetricFamily(
            "jetrun_publish_seconds",
            "From sending a publish, or a batch of them, to the word that it is stored",
            buckets=figures.durations.buckets(),
            sum_value=figures.durations.sum_s,
        )
        yield CounterMetricFamily(
            "jetrun_publish_retries", "Publishes and batches that were sent again", figures.retries
        )
        yield CounterMetricFamily(
            "jetrun_publish_races", "Those that another writer was quicker than", figures.races
        )
        yield counter_by(
            "jetrun_publish_failures", "Those that were given up", "code", figures.failures
        )
        yield GaugeMetricFamily(
            "jetrun_publish_queued_events",
            "Events that wait to be sent",
            self.writers.queued_events,
        )

    def _following(self) -> Iterator[Metric]:
        followers = GaugeMetricFamily("jetrun_followers", "Readers", labels=["of"])
        followers.add_metric(["run"], self.tails.total)
        followers.add_metric(["thread"], self.thread_tails.total)
        yield followers
        yield GaugeMetricFamily("jetrun_followed_runs", "Runs with a reader", self.tails.runs)
        yield GaugeMetricFamily(
            "jetrun_tail_buffered_events", "Live events that wait for readers", self.tails.buffered
        )
        figures = self.tails.figures
        yield counter_by(
            "jetrun_catch_ups", "Readers that went to the log", "cause", figures.falls, Fall
        )
        yield counter_by(
            "jetrun_gaps", "Gaps that readers were told of", "reason", figures.gaps, GapReason
        )

    def _holding(self) -> Iterator[Metric]:
        figures = self.leases
        yield GaugeMetricFamily("jetrun_leases", "Jobs that are held", figures.held)
        yield CounterMetricFamily("jetrun_lease_renewals", "Leases renewed", figures.renewals)
        yield CounterMetricFamily(
            "jetrun_lease_outages", "Times that leases could not be kept", figures.outages
        )


def counter_by(
    name: str, meaning: str, label: str, counts: Mapping[_Value, int], known: Iterable[_Value] = ()
) -> Metric:
    """Return a counter with one label.

    Args:
        name: Without the suffix ``_total``.
        meaning: What it counts.
        label: The label's name.
        counts: What it counted, by the label's value; the values are of a closed set.
        known: Values that are told as 0 before they were ever met.
    """
    family = CounterMetricFamily(name, meaning, labels=[label])
    for value, count in {**dict.fromkeys(known, 0), **counts}.items():
        family.add_metric([str(value)], count)
    return family
