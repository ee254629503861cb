"""What goes wrong in the demonstration, and when."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Incident:
    """One thing that goes wrong.

    Attributes:
        at: Share of the expected events after which it happens, 0 to 1.
        name: What happens, for people.
        happen: Makes it happen.
        is_kill: Whether a process dies of it.
    """

    at: float
    name: str
    happen: Callable[[], Awaitable[None]]
    is_kill: bool = False


class Incidents:
    """Incidents that wait for their moment.

    Args:
        planned: In the order of their moments.
    """

    def __init__(self, planned: Sequence[Incident]) -> None:
        self._waiting = list(planned)
        self.past: list[Incident] = []

    @property
    def waiting(self) -> tuple[str, ...]:
        """The names of those that have not happened."""
        return tuple(incident.name for incident in self._waiting)

    async def advance(self, share: float) -> str | None:
        """Let the next incident happen if its moment has come.

        Args:
            share: Events seen so far, as a share of those expected.

        Returns:
            What happened.
        """
        if not self._waiting or share < self._waiting[0].at:
            return None
        incident = self._waiting.pop(0)
        self.past.append(incident)
        await incident.happen()
        return incident.name
