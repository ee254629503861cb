"""SIGKILL of the sink between fetch, write and acknowledgement, with a standby that takes over.

Real processes under load. The victim is first stopped with SIGSTOP: while it cannot move, the files
and the server tell at which moment it was caught. Then it is killed.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from enum import Enum

import nats
import pytest

from bridge import BridgeSettings, JetStreamBridge, NatsSettings, RunRef, new_event
from store import ArchiveLayout, ArchiveReader

pytestmark = pytest.mark.chaos

ROUNDS = 3
RUNS = [RunRef(f"thread-{n % 2}", f"run-{n}") for n in range(6)]


class Moment(Enum):
    """Where the sink was caught; a busy one is at both, with two batches."""

    FETCHED_NOT_WRITTEN = "events were handed to it that are in no file"
    WRITTEN_NOT_ACKNOWLEDGED = "events are in a file that the server has no acknowledgement of"


@pytest.fixture
async def bridge(server):
    nats_settings = NatsSettings(url=server.url, user=server.user, password=server.password)
    async with JetStreamBridge(BridgeSettings(nats=nats_settings)) as opened:
        yield opened


@pytest.fixture
async def consumer_info(server):
    """Ask the server how far the sink's consumer has come."""
    connection = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )
    yield lambda: connection.jetstream().consumer_info("JETRUN_EVENTS", "sink")
    await connection.close()


class Sinks:
    """Two sink processes on one archive: one writes, one stands by."""

    def __init__(self, layout, environment):
        self._layout = layout
        self._environment = environment
        self._processes = {}

    def start(self):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "store.sink"],
            env=self._environment,
            stderr=subprocess.DEVNULL,
        )
        self._processes[process.pid] = process

    def writer(self):
        """The process id of the one that holds the lock, once it does."""
        with suppress(FileNotFoundError, IndexError, ValueError):
            pid = int(self._layout.lock.read_text().split()[1])
            return pid if pid in self._processes else None
        return None

    def kill(self, pid):
        process = self._processes.pop(pid)
        process.kill()
        process.wait()

    def kill_all(self):
        for pid in list(self._processes):
            self.kill(pid)


@pytest.fixture
def layout(tmp_path):
    return ArchiveLayout(tmp_path / "data")


@pytest.fixture
def sinks(server, layout):
    environment = {
        **os.environ,
        "JETRUN_NATS__URL": server.url,
        "JETRUN_NATS__USER": server.user,
        "JETRUN_NATS__PASSWORD": server.password.get_secret_value(),
        "JETRUN_DATA": str(layout.root),
        "JETRUN_ARCHIVE__ACK_WAIT_S": "1",
        "JETRUN_ARCHIVE__STANDBY_POLL_S": "0.02",
        "JETRUN_ARCHIVE__MAX_BATCH_EVENTS": "200",
        "JETRUN_ARCHIVE__MAX_OPEN_FILES": "4",
    }
    running = Sinks(layout, environment)
    yield running
    running.kill_all()


def archived(layout, run):
    """The places in a run's file, in order; a line that does not parse fails the test."""
    records = ArchiveReader(layout.root, on_malformed=pytest.fail).read_run(run)
    return [(record.seq, record.run_seq) for record in records]


def count_archived(layout):
    return sum(len(archived(layout, run)) for run in RUNS)


@asynccontextmanager
async def load(bridge):
    """Publish to all runs as fast as they are acknowledged; yields the acknowledged ids by run."""
    acknowledged = {run: [] for run in RUNS}
    is_over = False

    async def publish(run):
        acknowledged[run].append(await bridge.create(run.run_id, thread_id=run.thread_id))
        while not is_over:
            events = [new_event("messages", {"n": n, "text": "x" * 200}) for n in range(20)]
            acknowledged[run] += await bridge.publish_many(run.run_id, events)
        acknowledged[run].append(await bridge.publish_end(run.run_id))

    async with asyncio.TaskGroup() as publishing:
        for run in RUNS:
            publishing.create_task(publish(run))
        try:
            yield acknowledged
        finally:
            is_over = True


@asynccontextmanager
async def watching(layout):
    """Read all files over and over: at every moment they hold whole runs of whole records."""
    seen = dict.fromkeys(RUNS, 0)

    async def watch():
        while True:
            for run in RUNS:
                numbers = [run_seq for _, run_seq in await asyncio.to_thread(archived, layout, run)]
                assert numbers == list(range(1, len(numbers) + 1))
                assert len(numbers) >= seen[run]
                seen[run] = len(numbers)

    watcher = asyncio.create_task(watch())
    try:
        yield
        assert not watcher.done(), watcher.exception()
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
    assert all(seen.values())


async def moments_of(layout, info):
    """Say where a sink that cannot move now was caught."""
    sequences = {seq for run in RUNS for seq, _ in archived(layout, run)}
    moments = set()
    # All sequences of the log are events of these runs, so what lacks in the files is not written.
    if info.delivered.stream_seq > len(sequences):
        moments.add(Moment.FETCHED_NOT_WRITTEN)
    if info.num_ack_pending and max(sequences, default=0) > info.ack_floor.stream_seq:
        moments.add(Moment.WRITTEN_NOT_ACKNOWLEDGED)
    return moments


async def test_a_sink_killed_at_any_moment_loses_nothing_and_doubles_nothing(
    bridge, consumer_info, sinks, layout, chaos_factor, eventually
):
    rng = random.Random()
    rounds, caught = 0, set()
    deadline = time.monotonic() + 60 * chaos_factor
    sinks.start()
    sinks.start()
    await eventually(sinks.writer, within_s=10)
    async with load(bridge) as acknowledged, watching(layout):
        while rounds < ROUNDS * chaos_factor or caught != set(Moment):
            assert time.monotonic() < deadline, f"{rounds} rounds, caught at {caught}"
            victim = await eventually(sinks.writer, within_s=10)
            goal = count_archived(layout) + rng.randint(1, 1000)
            await eventually(lambda goal=goal: count_archived(layout) >= goal, within_s=20)
            os.kill(victim, signal.SIGSTOP)
            caught |= await moments_of(layout, await consumer_info())
            sinks.kill(victim)
            sinks.start()
            rounds += 1

    async def is_complete():
        return (await consumer_info()).num_pending == 0 and all(
            len(archived(layout, run)) == len(ids) for run, ids in acknowledged.items()
        )

    await eventually(is_complete, within_s=30)
    for run, ids in acknowledged.items():
        assert [f"{seq}-{run_seq}" for seq, run_seq in archived(layout, run)] == ids
    assert not layout.dead_letters.exists()
