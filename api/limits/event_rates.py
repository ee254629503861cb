"""How fast clients append to the runs: one gateway knows what went through it."""

from typing import Final

from api.limits.errors import TooManyEventsError
from api.limits.settings import LimitSettings
from runs import EventRate

#: Runs whose rate is known; the one that was appended to longest ago is forgotten first.
_MAX_RUNS: Final = 10_000


class EventRates:
    """The rates of all runs that clients append to here.

    Args:
        settings: How fast they may.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._limit = settings.max_events_per_run_s
        self._rates: dict[str, EventRate] = {}

    def take(self, run_id: str) -> None:
        """Count an event of a run.

        Raises:
            TooManyEventsError: It is beyond the rate, and does not count.
        """
        rate = self._rates.pop(run_id, None) or EventRate(self._limit)
        while len(self._rates) >= _MAX_RUNS:
            del self._rates[next(iter(self._rates))]
        self._rates[run_id] = rate
        if rate.delay_s > 0:
            raise TooManyEventsError(run_id, self._limit)
        rate.take()
