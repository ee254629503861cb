"""A log with three replicas: its leader and its followers are killed, or stand still for a while.

Publishers and readers are connected to all nodes. Whichever node it hits, every acknowledged event
is delivered once and in order, and everybody goes on by themselves.
"""

import asyncio
import json
import os
import random
import signal
import time
from contextlib import AsyncExitStack, suppress

import nats
import nats.errors
import pytest
from load import PATIENCE_S, Publisher, follow, progress

from bridge import BridgeSettings, JetStreamBridge, LogSettings, NatsSettings, RunRef
from bridge.server.cluster import EmbeddedCluster

ROUNDS = 3
#: What a round may take where an election is slow.
ROUND_S = 60

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(ROUND_S * ROUNDS * int(os.environ.get("CHAOS_FACTOR", "1"))),
]
RUNS = [RunRef(f"thread-{n % 3}", f"run-{n}") for n in range(6)]


class Cluster:
    """Three nodes, who leads the event stream, and ways to hurt them."""

    def __init__(self, servers):
        self._servers = servers
        self.nodes = servers.nodes

    async def _info(self):
        """The event stream as a connection that is made for this question shows it."""
        with suppress(nats.errors.Error, OSError, TimeoutError):
            client = await nats.connect(
                [node.url for node in self.nodes],
                user=self._servers.user,
                password=self._servers.password.get_secret_value(),
                connect_timeout=1,
            )
            try:
                answer = await client.request("$JS.API.STREAM.INFO.JETRUN_EVENTS", timeout=1)
                return json.loads(answer.data).get("cluster")
            finally:
                await client.close()
        return None

    async def leader(self):
        """The node that leads, once all replicas are up to date; None before."""
        info = await self._info()
        if info is None or len(info.get("replicas", ())) < 2:
            return None
        if not all(r["current"] and not r.get("offline") for r in info["replicas"]):
            return None
        return next((n for n in self.nodes if n.server_name == info.get("leader")), None)


async def kill(node, publishers, eventually):
    """SIGKILL; it comes back when all have gone on without it."""
    await node.kill()
    began = time.monotonic()
    await progress(publishers, 1, eventually)
    took_s = time.monotonic() - began
    await node.restart()
    return took_s


async def stop(node, publishers, eventually):
    """SIGSTOP; it wakes up, believing what it believed, when all have gone on without it."""
    os.kill(node.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        await progress(publishers, 1, eventually)
        return time.monotonic() - began
    finally:
        os.kill(node.pid, signal.SIGCONT)


@pytest.fixture
async def cluster(tmp_path):
    async with EmbeddedCluster(tmp_path / "cluster") as servers:
        yield Cluster(servers)


@pytest.fixture
async def connect(cluster):
    """Open a bridge whose first connection is to a certain node."""
    async with AsyncExitStack() as stack:

        async def connect(node):
            nats_settings = NatsSettings(url=node.url, user=node.user, password=node.password)
            log = LogSettings(
                replicas=len(cluster.nodes),
                request_timeout_s=1,
                outage_budget_s=PATIENCE_S,
                max_buffered_events=64,
            )
            settings = BridgeSettings(nats=nats_settings, log=log)
            return await stack.enter_async_context(JetStreamBridge(settings))

        yield connect


async def test_every_acknowledged_event_is_delivered_once_whichever_node_fails(
    cluster, connect, chaos_factor, eventually, capsys
):
    random_ = random.Random()
    rounds = ROUNDS * chaos_factor
    bridges = [await connect(node) for node in cluster.nodes]
    publishers = [Publisher(bridges[n % 3], run) for n, run in enumerate(RUNS)]
    times = {}
    async with asyncio.timeout((ROUND_S - 10) * rounds), asyncio.TaskGroup() as tasks:
        for publisher in publishers:
            tasks.create_task(publisher.publish(random_, pause_s=0.02))
        await eventually(lambda: all(publisher.acknowledged for publisher in publishers))
        staying = [
            tasks.create_task(follow(bridges[(n + 1) % 3], run, lambda: 10**9))
            for n, run in enumerate(RUNS)
        ]
        leaving = [
            tasks.create_task(follow(bridges[(n + 2) % 3], run, lambda: random_.randint(1, 400)))
            for n, run in enumerate(RUNS)
        ]
        for number in range(rounds):
            faults = [(kill, "leader"), (stop, "follower"), (stop, "leader"), (kill, "follower")]
            for fault, who in faults[:2] if number % 2 == 0 else faults[2:]:
                leader = await eventually(cluster.leader, within_s=PATIENCE_S)
                others = [node for node in cluster.nodes if node is not leader]
                victim = leader if who == "leader" else random_.choice(others)
                await progress(publishers, random_.randint(1, 100), eventually)
                took_s = await fault(victim, publishers, eventually)
                times.setdefault(f"{fault.__name__} {who}", []).append(took_s)
        for publisher in publishers:
            publisher.is_over = True
    for run, publisher, stayed, left in zip(RUNS, publishers, staying, leaving, strict=True):
        assert stayed.result() == left.result() == publisher.acknowledged, run
        numbers = [int(event_id.split("-")[1]) for event_id in publisher.acknowledged]
        assert numbers == list(range(1, len(numbers) + 1))
    with capsys.disabled():  # the times are what somebody runs this for
        for fault, seconds in times.items():
            shown = " ".join(f"{each:.1f}" for each in seconds)
            print(f"\n{fault}: all publishers went on after {shown} s", end="")  # noqa: T201
