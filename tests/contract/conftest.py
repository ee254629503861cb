"""One suite, two bridges: every test of this folder runs on memory and on a real nats-server."""

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from reading import take

from bridge import (
    BridgeSettings,
    EmbeddedServer,
    JetStreamBridge,
    MemorySettings,
    MemoryStreamBridge,
    NatsSettings,
    RunRef,
)
from runs import AssistantCatalog, RunManager, RunSettings, RunsFacade, WorkerSettings
from runs.worker import Worker
from store import ArchiveColdTier, ArchiveLayout, encode_line

#: The durable log keeps everything until it is trimmed; so that both agree, memory has room, too.
ROOMY = MemorySettings(max_events_per_run=100_000, max_bytes_per_run=1 << 30)


@pytest.fixture
def archive_root(tmp_path):
    """The archive that the bridges of a test read when something has left their log; empty."""
    return tmp_path / "archive"


@pytest.fixture(params=["memory", "jetstream"])
async def make_bridge(request, tmp_path, archive_root):
    """Make bridges to one log, each as another process would, not started yet."""
    cold = ArchiveColdTier(archive_root)
    if request.param == "memory":
        yield MemoryStreamBridge(ROOMY, cold=cold).peer
        return
    async with EmbeddedServer(tmp_path / "nats") as server:
        nats = NatsSettings(url=server.url, user=server.user, password=server.password)
        yield lambda: JetStreamBridge(BridgeSettings(nats=nats), cold=cold)


@pytest.fixture
async def connect(make_bridge):
    """Open one more bridge to the log of the test: ``other = await connect()``."""
    async with AsyncExitStack() as stack:

        async def connect():
            return await stack.enter_async_context(make_bridge())

        yield connect


@pytest.fixture
async def bridge(connect):
    """An open bridge."""
    return await connect()


@pytest.fixture
async def run(bridge):
    """The id of a run that has its birth event and nothing else."""
    await bridge.create("run-1", thread_id="thread-1")
    return "run-1"


@pytest.fixture
def archive(bridge, archive_root):
    """Append a run's events to its file, as a sink does: ``await archive(run_id, without={3})``."""
    archived = defaultdict(list)

    async def archive(run_id, *, up_to=None, without=()):
        info = await bridge.status(run_id)
        events = archived[run_id]
        count = (up_to or info.event_count) - len(events)
        last = events[-1].id if events else None
        async with bridge.subscribe(run_id, last_event_id=last) as stream:
            fresh = await take(stream, count)
        events += fresh
        path = ArchiveLayout(archive_root).run(RunRef(info.thread_id, run_id))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(b"".join(encode_line(e) for e in fresh if e.run_seq not in without))
        return events

    return archive


@pytest.fixture
def make_manager(connect):
    """Make run control as a process of its own has it: ``await make_manager(stale_s=1)``."""

    async def make(**settings):
        return RunManager(await connect(), AssistantCatalog(), RunSettings(**settings))

    return make


@pytest.fixture
def assistants():
    """What can be executed besides the built-in assistants: nothing; suites say more."""
    return {}


@pytest.fixture
def manager(bridge, assistants):
    """Run control on the bridge of the test; a deletion waits a moment only."""
    limits = RunSettings(max_queued_runs=3, delete_wait_s=0.2)
    return RunManager(bridge, AssistantCatalog(assistants), limits)


@pytest.fixture
def facade(manager, bridge):
    return RunsFacade(manager, bridge)


@pytest.fixture
async def thread(facade):
    """The id of a thread without runs."""
    return (await facade.create_thread()).thread_id


@pytest.fixture
def working(connect, assistants):
    """A worker in this process, on a bridge of its own: ``async with working(temporary_ttl_s=0)``.

    The options are the limits of run control.
    """

    @asynccontextmanager
    async def work(**settings):
        limits = WorkerSettings(lease_s=1, cancel_grace_s=0.3, fetch_wait_s=0.2, probe_s=0.2)
        catalog = AssistantCatalog(assistants)
        worker = Worker(await connect(), catalog, limits, RunSettings(**settings))
        stop = asyncio.Event()
        serving = asyncio.create_task(worker.serve(stop))
        try:
            yield worker
        finally:
            stop.set()
            await serving

    return work
