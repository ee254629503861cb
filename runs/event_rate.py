"""How many events a second one run may get: as many at once, and then one for each that is due."""

import time
from collections.abc import Callable


class EventRate:
    """The events of one run; it does not wait itself.

    Args:
        max_per_s: Events in a second; after a pause of a second so many may come at once.
        now: A clock in seconds that only goes forward.
    """

    def __init__(self, max_per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = 1 / max_per_s
        self._now = now
        #: When everything that came would have come at the even rate.
        self._due = now()

    @property
    def delay_s(self) -> float:
        """Seconds until one more event is within the rate; 0 when it is now."""
        return max(0.0, round(self._due + self._interval_s - self._now() - 1, 6))

    def take(self) -> float:
        """Count one event.

        Returns:
            Seconds that it should wait; who takes later waits longer.
        """
        delay_s = self.delay_s
        self._due = max(self._due, self._now()) + self._interval_s
        return delay_s
