"""SIGKILL of the sink, of nats-server and of both, and a disk that is full, under load.

Real processes, a sink that writes and compresses, and one that stands by. To know at which moment a
sink is killed, it is first stopped with SIGSTOP: while it cannot move, the files and the server
tell.
"""

import asyncio
import math
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from enum import Enum
from functools import partial
from itertools import islice

import nats
import pytest

from bridge import BridgeSettings, JetStreamBridge, NatsSettings, RunRef, new_event
from store import ArchiveLayout, ArchiveReader

pytestmark = pytest.mark.chaos

CHAOS_FACTOR = int(os.environ.get("CHAOS_FACTOR", "1"))
#: Of each of the three strikes at random points, on a server and an archive of their own.
ROUNDS = 5
#: Published in a round: 10,000 in an ordinary run, 100,000 in a long one.
ROUND_EVENTS = 10_000 * min(CHAOS_FACTOR, 10)
#: The least number of kills at points that were looked at.
CAUGHT_ROUNDS = 3
#: Between two looks at files that grow.
LOOK_PAUSE_S = 0.05
FULL_DISK_EVENTS = 10_000
FULL_AT_BYTES = 20_000
PUBLISHERS = 4
BATCH = 50
MAX_BATCHES = 12


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
        self._logs = {}

    def start(self):
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its process
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "store.sink"],
            env=self._environment,
            stderr=file,
        )
        self._processes[process.pid] = process
        self._logs[process.pid] = file

    def log(self, pid):
        """What a process has logged so far."""
        return os.pread(self._logs[pid].fileno(), 1 << 24, 0).decode()

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
        self._logs.pop(pid).close()

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
        # Runs that have ended are compressed meanwhile.
        "JETRUN_ARCHIVE__UPKEEP_INTERVAL_S": "0.2",
        "JETRUN_ARCHIVE__COMPRESS_AFTER_S": "0.2",
        "JETRUN_ARCHIVE__COMPRESS_MIN_BYTES": "1",
    }
    running = Sinks(layout, environment)
    yield running
    running.kill_all()


def archived(layout, run):
    """The places in a run's file, in order; a line that does not parse fails the test."""
    records = ArchiveReader(layout.root, on_malformed=pytest.fail).read_run(run)
    return [(record.seq, record.run_seq) for record in records]


class Load:
    """Publishes short runs, several at a time, as fast as they are acknowledged.

    They end all the time, because a run that goes on would heal: its next event brings up what was
    lost before it.
    """

    def __init__(self, bridge, rng, max_events):
        self._bridge = bridge
        self._rng = rng
        self._max_events = max_events
        self._moved = asyncio.Condition()
        self.acknowledged = {}

    def count(self):
        return sum(map(len, self.acknowledged.values()))

    async def publish(self, events):
        """Go on for about so many events, and wait until they are acknowledged."""
        goal = self.count() + events
        async with self._moved:
            self._max_events = goal
            self._moved.notify_all()
        await self.reach(goal, within_s=60 + events / 500)

    async def reach(self, count, within_s=60):
        """Wait until so many events are acknowledged in all."""
        async with asyncio.timeout(within_s), self._moved:
            await self._moved.wait_for(lambda: self.count() >= count)

    async def go_on(self):
        """Never stop any more."""
        async with self._moved:
            self._max_events = math.inf
            self._moved.notify_all()

    async def publish_until(self, is_over):
        while not is_over.is_set():
            run = RunRef(f"thread-{self._rng.randrange(4)}", f"run-{len(self.acknowledged)}")
            ids = self.acknowledged[run] = []
            ids.append(await self._bridge.create(run.run_id, thread_id=run.thread_id))
            events = [new_event("messages", {"n": n, "text": "x" * 200}) for n in range(BATCH)]
            for _ in range(self._rng.randrange(MAX_BATCHES)):
                ids += await self._bridge.publish_many(run.run_id, events)
                async with self._moved:
                    self._moved.notify_all()
                    await self._moved.wait_for(lambda: self.count() < self._max_events)
            ids.append(await self._bridge.publish_end(run.run_id))


@asynccontextmanager
async def loading(bridge, rng, max_events=math.inf):
    """Keep a load on the bridge, until so many events are published."""
    load, is_over = Load(bridge, rng, max_events), asyncio.Event()
    async with asyncio.TaskGroup() as publishing:
        for _ in range(PUBLISHERS):
            publishing.create_task(load.publish_until(is_over))
        try:
            yield load
        finally:
            is_over.set()
            await load.go_on()


@asynccontextmanager
async def watching(layout, load, *, may_shrink=False):
    """Read files that grow, over and over: at every moment they are whole records without holes."""
    seen = {}

    def look(runs):
        for run in runs:
            numbers = [run_seq for _, run_seq in archived(layout, run)]
            assert numbers == list(range(1, len(numbers) + 1))
            assert may_shrink or len(numbers) >= seen.get(run, 0)
            seen[run] = len(numbers)

    def growing():
        # The sink may be far behind: the files that grow now are the first unfinished ones.
        behind = (run for run, ids in load.acknowledged.items() if seen.get(run, 0) < len(ids))
        return list(islice(behind, 2 * PUBLISHERS))

    async def watch():
        while True:
            await asyncio.to_thread(look, growing())
            # Parsing all the time, it would keep the load from this process's interpreter.
            await asyncio.sleep(LOOK_PAUSE_S)

    watcher = asyncio.create_task(watch())
    try:
        yield
        assert not watcher.done(), watcher.exception()
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
    # What is taken back may have been all there was.
    assert may_shrink or any(seen.values())


async def moments_of(layout, load, info):
    """Say where a sink that cannot move now was caught."""
    sequences = {seq for run in load.acknowledged for seq, _ in archived(layout, run)}
    moments = set()
    # All sequences of the log are events of these runs, so what lacks in the files is not written.
    if info.delivered.stream_seq > len(sequences):
        moments.add(Moment.FETCHED_NOT_WRITTEN)
    if info.num_ack_pending and max(sequences, default=0) > info.ack_floor.stream_seq:
        moments.add(Moment.WRITTEN_NOT_ACKNOWLEDGED)
    return moments


@pytest.fixture
def everything_is_archived(layout, consumer_info, eventually):
    """Wait until the sink has nothing left, and compare all files with what was acknowledged."""

    async def is_acknowledged():
        info = await consumer_info()
        return info.num_pending == info.num_ack_pending == 0

    def is_compressed(load):
        return any(layout.compressed(run).exists() for run in load.acknowledged)

    async def check(load):
        await eventually(is_acknowledged, within_s=30 + load.count() / 500)
        for run, ids in load.acknowledged.items():
            assert [f"{seq}-{run_seq}" for seq, run_seq in archived(layout, run)] == ids
        await eventually(partial(is_compressed, load), within_s=30)
        assert not layout.dead_letters.exists()

    return check


@pytest.fixture
def under_load(bridge, layout):
    """Publish and watch the files meanwhile: ``async with under_load(max_events=0) as load``."""

    @asynccontextmanager
    async def under_load(max_events=math.inf, **watch):
        async with (
            loading(bridge, random.Random(), max_events) as load,
            watching(layout, load, **watch),
        ):
            yield load

    return under_load


async def test_a_sink_killed_at_any_moment_loses_nothing_and_doubles_nothing(
    under_load, consumer_info, sinks, layout, everything_is_archived, eventually
):
    rounds, caught = 0, set()
    deadline = time.monotonic() + 60 * CHAOS_FACTOR
    sinks.start()
    sinks.start()
    async with under_load() as load:
        while rounds < CAUGHT_ROUNDS * CHAOS_FACTOR or caught != set(Moment):
            assert time.monotonic() < deadline, f"{rounds} rounds, caught at {caught}"
            victim = await eventually(sinks.writer, within_s=20)
            goal = load.count() + random.randint(1, 2000)
            await eventually(lambda goal=goal: load.count() >= goal, within_s=20)
            os.kill(victim, signal.SIGSTOP)
            caught |= await moments_of(layout, load, await consumer_info())
            sinks.kill(victim)
            sinks.start()
            rounds += 1
    await everything_is_archived(load)


@pytest.fixture
def strike(server, sinks, eventually):
    """Kill what is named, at once, and start it again: ``await strike("sink and server")``."""

    async def strike(victims):
        writer = await eventually(sinks.writer, within_s=20)
        if "server" in victims:
            await server.kill()
        if "sink" in victims:
            sinks.kill(writer)
        if "server" in victims:
            await server.restart()
        if "sink" in victims:
            sinks.start()

    return strike


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("repeat", range(CHAOS_FACTOR))
@pytest.mark.parametrize("victims", ["sink", "server", "sink and server"])
async def test_whoever_is_killed_at_random_the_files_hold_each_event_once(
    under_load,
    sinks,
    strike,
    victims,
    repeat,  # noqa: ARG001 - tells the repeats apart
    everything_is_archived,
):
    sinks.start()
    sinks.start()
    rng = random.Random()
    async with under_load(max_events=0) as load:
        for _ in range(ROUNDS):
            goal = load.count() + ROUND_EVENTS
            publishing = asyncio.create_task(load.publish(ROUND_EVENTS))
            # The strike falls while more is being published.
            reached = goal - rng.randrange(ROUND_EVENTS)
            await load.reach(reached, within_s=60 + ROUND_EVENTS / 500)
            await strike(victims)
            await publishing
    assert load.count() >= ROUNDS * ROUND_EVENTS
    await everything_is_archived(load)


async def test_a_full_disk_is_waited_out_and_nothing_is_lost(
    under_load, consumer_info, sinks, layout, everything_is_archived, eventually
):
    sinks.start()
    writer = await eventually(sinks.writer, within_s=20)
    # No file of this process may grow beyond it, so every write fails in its middle.
    resource.prlimit(writer, resource.RLIMIT_FSIZE, (FULL_AT_BYTES, resource.RLIM_INFINITY))
    # What a refused write had begun is taken back, so the files may shrink meanwhile.
    async with under_load(max_events=FULL_DISK_EVENTS, may_shrink=True) as load:
        await eventually(lambda: sinks.log(writer).count("sink.write.failed") > 2, within_s=40)
        before = await consumer_info()
        await load.publish(1000)
        after = await consumer_info()
        assert after.ack_floor.stream_seq == before.ack_floor.stream_seq < load.count()
        sizes = [path.stat().st_size for path in layout.threads.rglob("*.jsonl")]
        assert max(sizes) <= FULL_AT_BYTES
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(writer, resource.RLIMIT_FSIZE, unlimited)
    await everything_is_archived(load)
    assert sinks.writer() == writer
