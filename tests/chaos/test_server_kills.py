"""SIGKILL of nats-server in the middle of publishing and following; it restarts on its store.

Publishers, followers and the sink notice by themselves and go on by themselves: every acknowledged
event is delivered once, in order, to readers that stay and to readers that come and go, and is once
in the run's file.
"""

import asyncio
import os
import random
import subprocess
import sys
from contextlib import AsyncExitStack
from functools import partial

import pytest
from load import PATIENCE_S, Publisher, follow, progress

from bridge import BridgeSettings, JetStreamBridge, LogSettings, NatsSettings, RunRef
from store import ArchiveReader

pytestmark = pytest.mark.chaos

KILLS = 3
RUNS = [RunRef(f"thread-{n % 3}", f"run-{n}") for n in range(8)]


@pytest.fixture
async def connect(server):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    settings = BridgeSettings(nats=nats, log=LogSettings(max_buffered_events=64))
    async with AsyncExitStack() as stack:

        async def connect():
            return await stack.enter_async_context(JetStreamBridge(settings))

        yield connect


@pytest.fixture
def archive(server, tmp_path):
    """The files that a sink process writes."""
    root = tmp_path / "data"
    environment = {
        **os.environ,
        "JETRUN_NATS__URL": server.url,
        "JETRUN_NATS__USER": server.user,
        "JETRUN_NATS__PASSWORD": server.password.get_secret_value(),
        "JETRUN_DATA": str(root),
        "JETRUN_ARCHIVE__ACK_WAIT_S": "1",
    }
    sink = subprocess.Popen(
        [sys.executable, "-P", "-m", "store.sink"], env=environment, stderr=subprocess.DEVNULL
    )
    yield ArchiveReader(root, on_malformed=pytest.fail)
    assert sink.poll() is None, "the sink ended by itself"
    sink.kill()
    sink.wait()


def is_archived(archive, run, ids):
    """Whether the run's file holds just these events, each once, in order."""
    return [f"{record.seq}-{record.run_seq}" for record in archive.read_run(run)] == ids


@pytest.mark.timeout(180 * int(os.environ.get("CHAOS_FACTOR", "1")))
async def test_every_acknowledged_event_is_delivered_once_whatever_the_server_does(
    server, connect, archive, chaos_factor, eventually
):
    random_ = random.Random(20_26)
    publishing, following = await connect(), await connect()
    publishers = [Publisher(publishing, run) for run in RUNS]
    async with asyncio.timeout(PATIENCE_S * (1 + chaos_factor)), asyncio.TaskGroup() as tasks:
        for publisher in publishers:
            tasks.create_task(publisher.publish(random_))
        await eventually(lambda: all(publisher.acknowledged for publisher in publishers))
        staying = [tasks.create_task(follow(following, run, lambda: 10**9)) for run in RUNS]
        leaving = [
            tasks.create_task(follow(following, run, lambda: random_.randint(1, 400)))
            for run in RUNS
        ]
        for _ in range(KILLS * chaos_factor):
            await progress(publishers, random_.randint(1, 300), eventually)
            await server.kill()
            await eventually(lambda: not publishing.is_connected)
            await server.restart()
            await progress(publishers, 1, eventually)
        for publisher in publishers:
            publisher.is_over = True
    for run, publisher, stayed, left in zip(RUNS, publishers, staying, leaving, strict=True):
        assert stayed.result() == left.result()
        delivered = stayed.result()
        assert [int(event_id.split("-")[1]) for event_id in delivered] == list(
            range(1, len(delivered) + 1)
        )
        assert publisher.acknowledged == delivered
        await eventually(
            partial(is_archived, archive, run, delivered), within_s=20, what="all is in the file"
        )
