"""Which runs wait for their user: a mark that the next event takes away by itself."""

from contextlib import suppress
from typing import Final

from bridge.coordination import StateRecords
from bridge.errors import StateConflictError
from bridge.events import StreamEvent

AWAITING: Final = "awaiting"


class AwaitingInput:
    """Marks of runs that wait for input.

    A mark names the event that was the newest when it was made, so nobody has to remove it.

    Args:
        states: The records that processes agree on.
    """

    def __init__(self, states: StateRecords) -> None:
        self._states = states

    async def mark(self, newest: StreamEvent) -> None:
        """Say that a run waits from its newest event on.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        value = str(newest.run_seq).encode()
        found = await self._states.find(AWAITING, newest.run_id)
        with suppress(StateConflictError):  # another process has marked it at the same moment
            if found is None:
                await self._states.create(AWAITING, newest.run_id, value)
            else:
                revision = found.revision
                await self._states.update(AWAITING, newest.run_id, value, revision=revision)

    async def is_marked(self, newest: StreamEvent) -> bool:
        """Tell whether nothing came after the run was marked."""
        if newest.is_terminal:
            return False
        found = await self._states.find(AWAITING, newest.run_id)
        return found is not None and found.value == str(newest.run_seq).encode()
