"""When a cron fires: a cron expression in a time zone.

Five fields as everybody knows them, or six with the seconds first. Around changes of the clock it
does as Debian's cron: what falls into a skipped hour fires right behind it, and what has a fixed
hour fires once in a repeated one.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from runs.errors import InvalidScheduleError

_NAMED: Final = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)
#: So many firings, and those of so long a time, are looked at to find two that are too close.
_LOOK_AHEAD: Final = 64
_LOOK_AHEAD_TIME: Final = timedelta(days=366)


class Schedule:
    """The instants at which a cron fires.

    Args:
        expression: What the client wrote.
        timezone: Name of an IANA time zone; ``None`` is UTC.

    Raises:
        InvalidScheduleError: It is no cron expression, or there is no such zone; it names which.
    """

    def __init__(self, expression: str, timezone: str | None = None) -> None:
        self._expression = _NAMED.get(expression.strip().lower(), expression)
        self._zone = _zone(timezone)
        self._from(datetime.now(UTC))

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first firing after an instant, in UTC; ``None`` when there is none."""
        return next(self._after(instant), None)

    def check_interval(self, min_interval_s: float, *, after: datetime) -> None:
        """Refuse a schedule that fires too often, as far as its next firings tell.

        Raises:
            InvalidScheduleError: Two firings are closer than ``min_interval_s``.
        """
        first = previous = None
        for count, at in enumerate(self._after(after)):
            if previous is not None and (at - previous).total_seconds() < min_interval_s:
                reason = f"it fires more often than every {min_interval_s:g} s"
                raise InvalidScheduleError("schedule", reason)
            first, previous = first or at, at
            if count >= _LOOK_AHEAD or at - first > _LOOK_AHEAD_TIME:
                return

    def _after(self, instant: datetime) -> Iterator[datetime]:
        last = instant
        for local in self._from(instant):
            at = local.astimezone(UTC)
            if at > last:  # at the end of summer time, two local times are the same instant
                yield at
                last = at

    def _from(self, instant: datetime) -> CronSim:
        try:
            return CronSim(self._expression, instant.astimezone(self._zone))
        except CronSimError as error:
            raise InvalidScheduleError("schedule", str(error)) from error


@lru_cache(maxsize=1024)
def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidScheduleError("timezone", f"there is no time zone {name!r}") from error
