"""What retention must know of the archive, before it lets events leave the log."""

from typing import Protocol

from bridge.subjects import RunRef


class ArchivedFloor(Protocol):
    """Says how far the files of a run have come; whoever writes the archive implements it.

    A consumer's acknowledgements are no substitute: they say what was handled, not what is held.
    """

    async def archived_run_seq(self, run: RunRef) -> int:
        """Return the run_seq up to which the archive holds every event of the run durably.

        Returns:
            0 when it holds nothing.

        Raises:
            OSError: The archive cannot be read; nothing may leave now.
        """
