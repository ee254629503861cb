"""Where no checkpoints are kept: graphs in memory keep theirs in a checkpointer of their own."""


class NoCheckpoints:
    """Has nothing to remove."""

    async def roll_back(self, thread_id: str, run_id: str) -> int:  # noqa: ARG002 - nothing is kept
        """Do nothing."""
        return 0

    async def erase(self, thread_id: str) -> None:
        """Do nothing."""
