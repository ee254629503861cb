"""Durations are counted by their length, and lose none."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.metrics.durations import BOUNDS_S, Durations


@given(st.lists(st.floats(0, 100)))
def test_each_end_counts_what_took_no_longer(lengths):
    durations = Durations()
    for length in lengths:
        durations.add(length)
    *ends, (last, everything) = durations.buckets()
    assert [float(end) for end, _ in ends] == list(BOUNDS_S)
    for end, count in ends:
        assert count == sum(length <= float(end) for length in lengths)
    assert (last, everything) == ("+Inf", len(lengths))
    assert abs(durations.sum_s - sum(lengths)) < 1e-6
