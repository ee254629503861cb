"""Workers in this process."""

import asyncio
from contextlib import asynccontextmanager

from bridge import JetStreamBridge
from runs import AssistantCatalog
from runs.worker import Worker


@asynccontextmanager
async def worker_here(settings):
    """Run a worker in this process until the context ends."""
    async with JetStreamBridge(settings.bridge, name="worker") as bridge:
        catalog = AssistantCatalog(settings.assistants)
        worker = Worker(bridge, catalog, settings.worker, settings.runs, settings.graphs)
        stop = asyncio.Event()
        serving = asyncio.create_task(worker.serve(stop))
        try:
            yield worker
        finally:
            stop.set()
            await serving
