"""How long something took, as a histogram that costs little to add to."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

#: Upper ends in seconds; one more part holds what took longer.
BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Durations:
    """Counts durations by their length.

    Attributes:
        sum_s: All of them together, in seconds.
    """

    __slots__ = ("_counts", "sum_s")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def buckets(self) -> Sequence[tuple[str, float]]:
        """Return, for each upper end, how many took no longer; the last counts all."""
        ends = [*map(str, BOUNDS_S), "+Inf"]
        return list(zip(ends, accumulate(self._counts), strict=True))
