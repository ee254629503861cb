"""What publishing came to in this process."""

from collections import Counter

from bridge.metrics.durations import Durations


class PublishFigures:
    """Adds up flights: what was stored by one publish, or by one atomic batch.

    Attributes:
        events: Events that were stored.
        durations: Of flights, from sending to the server's word that they are stored.
        retries: Flights that were sent again.
        races: Flights that another writer of the run was quicker than.
        failures: Flights that were given up, by the error's code.
    """

    def __init__(self) -> None:
        self.events = 0
        self.durations = Durations()
        self.retries = 0
        self.races = 0
        self.failures: Counter[str] = Counter()

    def stored(self, events: int, took_s: float) -> None:
        """Count a flight that was stored."""
        self.events += events
        self.durations.add(took_s)
