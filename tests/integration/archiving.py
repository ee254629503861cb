"""A sink in this process, which lets the log keep little of a run."""

import asyncio
from contextlib import asynccontextmanager

from bridge import JetStreamBridge, RetentionSettings
from store import ArchiveSettings
from store.sink import Sink

SETTINGS = ArchiveSettings(fetch_wait_s=0.05, standby_poll_s=0.01)
KEPT = 256


@asynccontextmanager
async def sinking(settings):
    """Run a sink for the length of a context."""
    retention = RetentionSettings(max_events_per_run=KEPT)
    wanted = settings.bridge.model_copy(update={"retention": retention})
    stop = asyncio.Event()
    async with JetStreamBridge(wanted) as bridge:
        task = asyncio.create_task(Sink(bridge, settings.data, SETTINGS).run(stop))
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await task
