"""One suite, two bridges: every test of this folder runs on memory and on a real nats-server."""

from collections import defaultdict
from contextlib import AsyncExitStack

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
