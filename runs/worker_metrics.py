"""What a worker tells Prometheus, and whoever restarts processes."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge import counter_by
from runs.models import FINAL_STATUSES, RunStatus


class WorkerFigures:
    """Adds up jobs.

    Attributes:
        in_hand: Runs that are executed now.
        taken: Jobs that were begun.
        repeated: Those that had been handed out before, to a worker that lost them or gave them up.
        given_back: Jobs that came without room.
        leases_lost: Jobs that came again while their run was still executed here.
        left: Runs that could not be claimed or ended; their jobs come again.
        ended: Runs that ended here, by status.
    """

    def __init__(self) -> None:
        self.in_hand = 0
        self.taken = 0
        self.repeated = 0
        self.given_back = 0
        self.leases_lost = 0
        self.left = 0
        self.ended: Counter[RunStatus] = Counter()


class WorkerCollector(Collector):
    """The figures of one worker.

    Args:
        figures: What it adds up.
        concurrency: How many runs it executes at one time.
    """

    def __init__(self, figures: WorkerFigures, concurrency: int) -> None:
        self._figures = figures
        self._concurrency = concurrency

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        figures = self._figures
        yield GaugeMetricFamily("jetrun_worker_runs", "Runs in execution", figures.in_hand)
        yield GaugeMetricFamily("jetrun_worker_places", "Runs at one time", self._concurrency)
        counts = {
            "jobs": ("Jobs that were begun", figures.taken),
            "repeated_jobs": ("Those that had been handed out before", figures.repeated),
            "declined_jobs": ("Jobs that came without room", figures.given_back),
            "lost_leases": ("Jobs that came again during their run", figures.leases_lost),
            "left_runs": ("Runs that could not be claimed or ended", figures.left),
        }
        for name, (meaning, count) in counts.items():
            yield CounterMetricFamily(f"jetrun_worker_{name}", meaning, count)
        yield counter_by(
            "jetrun_worker_ended_runs",
            "Runs that ended here",
            "status",
            figures.ended,
            FINAL_STATUSES,
        )
