"""A leader that stood still wakes up and still believes that it leads: nobody decides by its word.

Requests that waited in its sockets are answered first, from what it held when it was stopped. In
the meantime the others have elected, and stored more.
"""

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager

import nats
import nats.errors
import pytest
from load import PATIENCE_S

from bridge import (
    END,
    HEARTBEAT,
    BridgeSettings,
    ConflictError,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    RunRef,
    StateConflictError,
    StreamEvent,
    StreamStatus,
    Subjects,
)
from bridge.server.cluster import EmbeddedCluster

pytestmark = pytest.mark.chaos

STREAMS = ("JETRUN_EVENTS", "JETRUN_STATE")
#: Longer than an election, so that who is connected to the stopped leader waits for it.
STAYS_S = 20.0
ASKED_AGAIN = 200


@pytest.fixture
async def cluster(tmp_path):
    async with EmbeddedCluster(tmp_path / "cluster") as running:
        yield running


@pytest.fixture
async def connect(cluster):
    async with AsyncExitStack() as stack:

        async def connect(*nodes, request_timeout_s):
            access = NatsSettings(
                url=",".join(node.url for node in nodes),
                user=cluster.user,
                password=cluster.password,
            )
            log = LogSettings(
                replicas=3, request_timeout_s=request_timeout_s, outage_budget_s=PATIENCE_S
            )
            settings = BridgeSettings(nats=access, log=log)
            return await stack.enter_async_context(JetStreamBridge(settings))

        yield connect


@asynccontextmanager
async def raw(cluster, *nodes):
    client = await nats.connect(
        [node.url for node in nodes],
        user=cluster.user,
        password=cluster.password.get_secret_value(),
        max_outstanding_pings=100,
    )
    try:
        yield client
    finally:
        await client.close()


async def lead(client, cluster, node, stream):
    """Make a node the leader of a stream, with all replicas up to date; whether it is."""
    answer = await client.request(f"$JS.API.STREAM.INFO.{stream}", timeout=5)
    info = json.loads(answer.data)["cluster"]
    is_current = all(replica["current"] for replica in info.get("replicas", [{"current": False}]))
    if info.get("leader") == node.server_name and is_current:
        return True
    body = json.dumps({"placement": {"preferred": node.server_name}}).encode()
    await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}", body, timeout=5)
    await asyncio.sleep(0.3)
    return False


class Sleeper:
    """A leader that is stopped, and asked all the while what it holds of a run."""

    def __init__(self, client, subject):
        self._client = client
        self._request = json.dumps({"last_by_subj": subject}).encode()
        self.answers = []

    async def _note(self, message):
        found = json.loads(message.data)
        if "message" in found:
            self.answers.append(found["message"]["seq"])

    async def ask(self):
        """Let questions wait in its socket."""
        inbox = self._client.new_inbox()
        await self._client.subscribe(inbox, cb=self._note)
        await self._client.flush()
        return inbox

    async def keep_asking(self, inbox):
        for _ in range(ASKED_AGAIN):
            await self._client.publish(
                "$JS.API.STREAM.MSG.GET.JETRUN_EVENTS", self._request, reply=inbox
            )


async def ids_of(bridge, run_id):
    async with asyncio.timeout(PATIENCE_S), bridge.subscribe(run_id) as items:
        return [item.id async for item in items if isinstance(item, StreamEvent)]


async def read_to_end(bridge, run_id):
    """The ids that a reader is shown; a gap, or an end that is none, fails it."""
    seen = []
    async with bridge.subscribe(run_id, heartbeat_interval=0.2) as items:
        async for item in items:
            if item is END:
                return seen
            if isinstance(item, StreamEvent):
                seen.append(item.id)
            else:
                assert item is HEARTBEAT, item
    pytest.fail("the reading stopped before the end")


@pytest.mark.timeout(400)
async def test_what_a_deposed_leader_says_decides_nothing(
    cluster, connect, chaos_factor, eventually
):
    stale = 0
    victim, *others = cluster.nodes
    awake = await connect(*others, request_timeout_s=1)
    asleep = await connect(victim, request_timeout_s=STAYS_S)
    for number in range(min(chaos_factor, 10)):
        stale += await one_round(number, cluster, awake, asleep, eventually)
    assert stale > 0, "the leader never answered from the past: nothing was tried"


async def one_round(number, cluster, awake, asleep, eventually):
    victim, *others = cluster.nodes
    run, ended, theirs = (f"{name}-{number}" for name in ("run", "ended", "theirs"))
    for run_id in (run, ended):
        await asleep.create(run_id, thread_id="t")
        await asleep.publish(run_id, "note", "before")
    revision = await asleep.states.create("record", run, b"1")
    following = asyncio.create_task(read_to_end(asleep, run))
    async with raw(cluster, *others) as client, raw(cluster, victim) as questions:
        for stream in STREAMS:
            await eventually(
                lambda stream=stream: lead(client, cluster, victim, stream), within_s=PATIENCE_S
            )
        sleeper = Sleeper(questions, Subjects().event(RunRef("t", run)))
        inbox = await sleeper.ask()
        os.kill(victim.pid, signal.SIGSTOP)
        try:
            # These wait in the sockets of the node that stands still ...
            mine = asyncio.create_task(asleep.publish(run, "note", "mine"))
            my_end = asyncio.create_task(asleep.cancel(ended))
            my_record = asyncio.create_task(
                asleep.states.update("record", run, b"mine", revision=revision)
            )
            my_run = asyncio.create_task(asleep.create(theirs, thread_id="mine"))
            await sleeper.keep_asking(inbox)
            # ... while the others go on without it.
            published = [await awake.publish(run, "note", n) for n in range(3)]
            their_end = await awake.publish_end(ended)
            await awake.states.update("record", run, b"theirs", revision=revision)
            await awake.create(theirs, thread_id="theirs")
        finally:
            os.kill(victim.pid, signal.SIGCONT)
        async with asyncio.timeout(PATIENCE_S):
            outcomes = await asyncio.gather(mine, my_end, my_record, my_run, return_exceptions=True)
        newest = int(published[-1].split("-")[0])
        stale = sum(seq < newest for seq in sleeper.answers)
    assert isinstance(outcomes[0], str), outcomes[0]
    assert outcomes[1] == their_end
    assert isinstance(outcomes[2], StateConflictError)
    assert isinstance(outcomes[3], ConflictError)
    assert (await awake.states.find("record", run)).value == b"theirs"
    assert (await awake.status(ended)).status is StreamStatus.ENDED
    assert await awake.find_thread(theirs) == "theirs"
    last = await asleep.publish_end(run)
    stored = await ids_of(awake, run)
    assert [each for each in stored if each in (*published, outcomes[0])] == [
        *published,
        outcomes[0],
    ]
    assert [int(each.split("-")[1]) for each in stored] == list(range(1, 8))
    async with asyncio.timeout(PATIENCE_S):
        assert await following == stored
    assert stored[-1] == last
    return stale
