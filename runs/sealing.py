"""Wait until a run's log is sealed."""

from contextlib import aclosing

from bridge import END, BridgeClosedError, RunBridge


async def wait_for_seal(bridge: RunBridge, run_id: str) -> None:
    """Return once the run's log has its terminal event, or is deleted.

    Raises:
        StreamNotFoundError: Nobody created the run, or it is deleted.
        BridgeClosedError: This process is shutting down.
        UnavailableError: The server fell silent; call again.
    """
    newest = (await bridge.status(run_id)).last_id
    async with (
        bridge.follow(run_id, last_event_id=newest) as following,
        aclosing(following.batches()) as batches,
    ):
        async for batch in batches:
            if batch[-1] is END:
                return
    raise BridgeClosedError
