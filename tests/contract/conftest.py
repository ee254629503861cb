"""One suite, two bridges: every test of this folder runs on memory and on a real nats-server."""

from contextlib import AsyncExitStack

import pytest

from bridge import (
    BridgeSettings,
    EmbeddedServer,
    JetStreamBridge,
    MemorySettings,
    MemoryStreamBridge,
    NatsSettings,
)
from store import ArchiveColdTier

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
