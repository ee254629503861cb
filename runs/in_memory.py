"""Runs without a server: manager, worker and log in this process, and gone with it.

For tests, notebooks and embedding. It is the code that runs over NATS, on a memory bridge; what
one process cannot have is missing alone: nothing survives it, and nobody else can look.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from bridge import MemorySettings, MemoryStreamBridge
from runs.catalog import AssistantCatalog
from runs.crons.firing import CronFirings
from runs.expiry import Expiry
from runs.facade import RunsFacade
from runs.manager import RunManager
from runs.read_model import ReadModel
from runs.settings import AssistantSettings, ExpirySettings, RunSettings, WorkerSettings
from runs.worker import Worker


@asynccontextmanager
async def open_in_memory(
    assistants: Mapping[str, AssistantSettings] | None = None,
    *,
    runs: RunSettings | None = None,
    worker: WorkerSettings | None = None,
    expiry: ExpirySettings | None = None,
    log: MemorySettings | None = None,
) -> AsyncGenerator[RunsFacade]:
    """Open run control and a worker for the length of a context.

    User code shares the event loop of the caller here: a function that blocks it blocks all.

    Args:
        assistants: The functions to execute, beside the built-in ones.
        runs: Limits of run control.
        worker: How many runs are executed at one time, and how they are let go at the end.
        expiry: When ended runs and threads at rest leave; by default they stay.
        log: How much of events is kept.
    """
    catalog = AssistantCatalog(assistants)
    async with MemoryStreamBridge(log) as bridge, bridge.peer() as own:
        stop = asyncio.Event()
        executing = Worker(own, catalog, worker or WorkerSettings(), runs)
        serving = asyncio.create_task(executing.serve(stop), name="worker in memory")
        manager, model = RunManager(bridge, catalog, runs), ReadModel(bridge.state_feed)
        expiring = Expiry(model, manager, expiry or ExpirySettings())
        try:
            stale_s = (runs or RunSettings()).stale_s
            firings = CronFirings(bridge, manager, stale_s=stale_s)
            async with expiring.going_on(), firings.going_on():
                yield RunsFacade(manager, bridge, model)
        finally:
            stop.set()
            await serving
            await model.close()
