"""A cron expression fires at the minutes that it names, in its zone, and at no other."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import InvalidScheduleError
from runs.crons.schedule import Schedule

INSTANTS = st.integers(1_700_000_000, 1_900_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))
ZONES = st.sampled_from([None, "America/New_York", "Europe/Berlin", "Asia/Kathmandu"])


def a_set_of(least, most):
    return st.sets(st.integers(least, most), min_size=1, max_size=4)


def listed(numbers):
    return ",".join(map(str, sorted(numbers)))


def firings(schedule, after, count):
    found = []
    for _ in range(count):
        after = schedule.next_after(after)
        found.append(after)
    return found


@given(a_set_of(0, 59), a_set_of(0, 23), a_set_of(0, 6), INSTANTS)
def test_the_next_firing_is_the_first_minute_that_fits(minutes, hours, days, after):
    schedule = Schedule(f"{listed(minutes)} {listed(hours)} * * {listed(days)}")
    at = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while not (at.minute in minutes and at.hour in hours and at.isoweekday() % 7 in days):
        at += timedelta(minutes=1)
    assert schedule.next_after(after) == at


@given(a_set_of(0, 59), a_set_of(0, 23), ZONES, INSTANTS)
def test_firings_are_strictly_later_and_whole_minutes_in_every_zone(minutes, hours, zone, after):
    schedule = Schedule(f"{listed(minutes)} {listed(hours)} * * *", zone)
    found = firings(schedule, after, 50)
    assert all(earlier < later for earlier, later in pairwise([after, *found]))
    assert all(at.tzinfo is UTC and at.second == at.microsecond == 0 for at in found)


@given(st.text(max_size=30), st.text(max_size=20))
def test_what_cannot_be_read_is_refused_by_the_name_of_its_field(expression, zone):
    for field, given_args in [("schedule", (expression,)), ("timezone", ("* * * * *", zone))]:
        with suppress(InvalidScheduleError):
            Schedule(*given_args)
            continue
        with pytest.raises(InvalidScheduleError, match=f"^{field}: "):
            Schedule(*given_args)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "60 * * * *", "* * * * * * *", "*/0 * * * *", "@reboot", "0 0 31 2 *", "a"],
)
def test_these_are_no_schedules(expression):
    with pytest.raises(InvalidScheduleError, match="schedule"):
        Schedule(expression)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "EST\0"])
def test_these_are_no_zones(zone):
    with pytest.raises(InvalidScheduleError, match="timezone"):
        Schedule("* * * * *", zone)


def test_a_schedule_is_read_in_its_zone():
    schedule = Schedule("0 9 * * *", "America/New_York")
    winter, summer = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 7, 5, tzinfo=UTC)
    assert schedule.next_after(winter) == datetime(2026, 1, 5, 14, tzinfo=UTC)
    assert schedule.next_after(summer) == datetime(2026, 7, 5, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "expression", "expected"),
    [
        # 02:00 to 03:00 does not exist: it fires at once behind.
        ("2026-03-28T23:00:00+00:00", "30 2 * * *", ["01:00", "00:30"]),
        # 02:00 to 03:00 is there twice: a fixed hour fires once, every hour twice.
        ("2026-10-24T22:00:00+00:00", "30 2 * * *", ["00:30", "01:30"]),
        ("2026-10-24T23:40:00+00:00", "30 * * * *", ["00:30", "01:30"]),
    ],
)
def test_changes_of_the_clock_neither_lose_nor_repeat_a_firing(day, expression, expected):
    schedule = Schedule(expression, "Europe/Berlin")
    found = firings(schedule, datetime.fromisoformat(day), len(expected))
    assert [f"{at:%H:%M}" for at in found] == expected


def test_six_fields_begin_with_the_seconds():
    after = datetime(2026, 1, 1, tzinfo=UTC)
    found = firings(Schedule("*/20 * * * * *"), after, 3)
    assert [(at - after).total_seconds() for at in found] == [20, 40, 60]


@pytest.mark.parametrize(
    ("expression", "least_s"), [("*/20 * * * * *", 21), ("* * * * *", 61), ("0,1 0 * * *", 61)]
)
def test_firings_that_are_too_close_are_refused(expression, least_s):
    after = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidScheduleError, match=f"every {least_s} s"):
        Schedule(expression).check_interval(least_s, after=after)
    Schedule(expression).check_interval(least_s - 1, after=after)
