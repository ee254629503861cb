"""How much of one run the log holds, and how much the archive."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunTiers:
    """One look at a run's events in both tiers; both may hold the same ones.

    Attributes:
        logged_from: The ``run_seq`` of the oldest event in the log; ``None``: it holds none.
        logged_to: Of the newest one.
        archived_to: Of the newest one in the archive; 0: it holds none.
    """

    logged_from: int | None
    logged_to: int | None
    archived_to: int

    @property
    def behind(self) -> int:
        """How many events the archive still has to write."""
        return 0 if self.logged_to is None else max(0, self.logged_to - self.archived_to)
