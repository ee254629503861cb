"""What the sweep for silent runs must know of those who execute them."""

from collections.abc import Sequence
from typing import Final, Protocol

from bridge.subjects import RunRef

#: Why a run is ended when nobody knows better.
NO_PUBLISH_TIMEOUT: Final = "no_publish_timeout"


class RunHolders(Protocol):
    """Says which runs are in somebody's hands; run control implements it."""

    async def find_held(self, runs: Sequence[RunRef]) -> set[str]:
        """Return the ids of those runs that somebody executes, or that wait for their turn.

        A run that is left out may be ended as abandoned, once it was left out repeatedly.

        Raises:
            BridgeError: It cannot be known now; nothing is ended.
        """

    async def explain(self, run: RunRef) -> str:
        """Return why a run that was left out is ended: the reason in its terminal event.

        Raises:
            BridgeError: It cannot be known now; nothing is ended.
        """

    async def settle(self, run: RunRef) -> None:
        """Bring what refers to a run in line with its log, which was just ended.

        Raises:
            BridgeError: It could not be done now; whoever looks at the run does it later.
        """


class NoHolders:
    """Runs that nobody but their publishers looks after."""

    async def find_held(self, runs: Sequence[RunRef]) -> set[str]:  # noqa: ARG002 - of the protocol
        """Say that none is held."""
        return set()

    async def explain(self, run: RunRef) -> str:  # noqa: ARG002 - of the protocol
        """Say that it was silent."""
        return NO_PUBLISH_TIMEOUT

    async def settle(self, run: RunRef) -> None:
        """Do nothing: nothing refers to the run."""
