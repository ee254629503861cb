"""Answers get lost: a publish whose fate is unknown is found out, never guessed.

Every test publishes through a wire that loses just what it chooses, and reads through another
connection what the log holds.
"""

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack, contextmanager, suppress

import nats
import pytest
from lossy_wire import LossyProxy

from bridge import (
    BridgeSettings,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    RetentionSettings,
    Stored,
    StreamCapacityExceededError,
    UnavailableError,
    new_event,
)
from bridge.connection import Connection
from bridge.event_log import EventLog
from bridge.flight import Flight, Head
from bridge.landing import Landing
from bridge.seals import Seals
from bridge.server.cluster import EmbeddedCluster
from bridge.stream_reader import StreamReader
from bridge.subjects import RunRef, Subjects

RUN = RunRef("thread-1", "run-1")
#: Enough for a group commit to become an atomic batch.
BURST = 40


@pytest.fixture
async def proxy(server):
    async with LossyProxy(server.port) as running:
        yield running


@pytest.fixture
async def connect(server):
    """Open a bridge: ``await connect(url)``; patience is short, so that silence is."""
    async with AsyncExitStack() as stack:

        async def connect(url=server.url, **limits):
            nats_settings = NatsSettings(
                url=url, user=server.user, password=server.password, reconnect_wait_s=0.02
            )
            log = LogSettings(**{"request_timeout_s": 0.3, "outage_budget_s": 15, **limits})
            # What others store is not seen before the server refuses.
            rarely = RetentionSettings(capacity_poll_s=60)
            settings = BridgeSettings(nats=nats_settings, log=log, retention=rarely)
            return await stack.enter_async_context(JetStreamBridge(settings))

        yield connect


@pytest.fixture
async def direct(connect):
    """A bridge that loses nothing, with a run in its log."""
    bridge = await connect()
    await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
    return bridge


@pytest.fixture
async def bridge(direct, proxy, connect):
    """A bridge behind the lossy wire that has published once."""
    assert direct.is_connected
    opened = await connect(proxy.url)
    await opened.publish(RUN.run_id, "note", "first")
    return opened


@pytest.fixture
async def raw(server):
    """A plain client."""
    client = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )
    yield client
    await client.close()


async def stored(direct, run_id=RUN.run_id):
    """What the log holds of a run behind its birth; run_seqs have no hole."""
    events, after = [], 0
    while page := await direct.read_after(RunRef(RUN.thread_id, run_id), after):
        events += page
        after = events[-1].run_seq
    assert [event.run_seq for event in events] == list(range(1, len(events) + 1))
    return events[1:]


class Once:
    """A hook that acts on the first message that it is asked about, and tells that it did."""

    def __init__(self, claims, act, *, passes=False):
        self._claims = claims
        self._act = act
        self._passes = passes
        self.happened = False

    async def __call__(self, wire, message):
        if self.happened or not self._claims(message):
            return True
        self.happened = True
        outcome = self._act(wire, message)
        if asyncio.iscoroutine(outcome):
            await outcome
        return self._passes


def cut(wire, _message):
    wire.cut()


def lose(_wire, _message):
    pass


#: Direction, what is hit, what happens to it.
SILENCES = {
    "cut before the server has it": ("up", lambda m: m.is_event, cut),
    "lost before the server has it": ("up", lambda m: m.is_event, lose),
    "cut in the last message": (
        "up",
        lambda m: m.is_event and (m.is_commit or not m.batch_position),
        cut,
    ),
    "stored, then cut": ("down", lambda m: m.is_ack, cut),
    "stored, answer lost": ("down", lambda m: m.is_ack, lose),
}


async def publish_one(bridge):
    return [await bridge.publish(RUN.run_id, "note", "one")]


async def publish_named(bridge):
    return [await bridge.publish(RUN.run_id, "note", "one", event_id="order-7")]


async def publish_some(bridge):
    return await asyncio.gather(*(bridge.publish(RUN.run_id, "note", n) for n in range(7)))


async def publish_burst(bridge):
    return await asyncio.gather(*(bridge.publish(RUN.run_id, "note", n) for n in range(BURST)))


async def publish_many(bridge):
    return await bridge.publish_many(RUN.run_id, [new_event("note", n) for n in range(BURST)])


async def publish_end(bridge):
    return [await bridge.publish_end(RUN.run_id)]


async def begin_attempt(bridge):
    return [await bridge.begin_attempt(RUN.run_id, 2)]


CALLS = [
    publish_one,
    publish_named,
    publish_some,
    publish_burst,
    publish_many,
    publish_end,
    begin_attempt,
]


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("call", CALLS)
async def test_a_publish_without_an_answer_is_stored_once(bridge, direct, proxy, call, silence):
    direction, claims, act = SILENCES[silence]
    fault = Once(claims, act)
    setattr(proxy, f"on_{direction}", fault)
    ids = await call(bridge)
    assert fault.happened
    events = await stored(direct)
    assert [event.id for event in events[1:]] == ids
    values = [event.data for event in events[1:] if event.event == "note"]
    assert values in ([], ["one"], list(range(len(values))))


@pytest.mark.parametrize("silence", SILENCES)
async def test_a_birth_without_an_answer_is_stored_once(bridge, direct, proxy, silence):
    direction, claims, act = SILENCES[silence]
    fault = Once(claims, act)
    setattr(proxy, f"on_{direction}", fault)
    birth = await bridge.create("run-2", thread_id=RUN.thread_id)
    assert fault.happened
    info = await direct.status("run-2")
    assert (info.first_id, info.event_count) == (birth, 1)


async def test_an_answer_that_comes_too_late_changes_nothing(bridge, direct, proxy):
    async def delay(_wire, _message):
        await asyncio.sleep(0.7)

    proxy.on_down = Once(lambda m: m.is_ack, delay, passes=True)
    ids = [await bridge.publish(RUN.run_id, "note", n) for n in range(5)]
    assert [event.id for event in (await stored(direct))[1:]] == ids


async def test_10071_another_writer_was_faster_and_both_are_stored(bridge, direct, proxy):
    theirs = []

    async def overtake(_wire, _message):
        theirs.append(await direct.publish(RUN.run_id, "note", "theirs"))

    proxy.on_up = Once(lambda m: m.is_event, overtake, passes=True)
    codes = watch_refusals(proxy)
    mine = await bridge.publish(RUN.run_id, "note", "mine")
    assert codes == [10071]
    assert [(e.id, e.data) for e in (await stored(direct))[1:]] == [
        (theirs[0], "theirs"),
        (mine, "mine"),
    ]


async def test_10071_on_a_repeated_event_id_answers_with_the_first_one(bridge, direct, proxy):
    first = await direct.publish(RUN.run_id, "note", "mine", event_id="order-7")
    codes = watch_refusals(proxy)
    assert await bridge.publish(RUN.run_id, "note", "mine", event_id="order-7") == first
    assert codes == [10071]
    assert len(await stored(direct)) == 2


async def test_10071_for_a_copy_of_its_own_is_recognised_as_stored(bridge, direct, proxy):
    """The answer to the first copy is lost; the second one is refused because of the first."""
    proxy.on_down = Once(lambda m: m.is_ack, lose)
    lookups = []

    async def hide_lookups(_wire, message):
        if b"$JS.API.DIRECT.GET" in message.raw and not lookups:
            lookups.append(message)
            return False
        return True

    proxy.on_up = hide_lookups
    mine = await bridge.publish(RUN.run_id, "note", "mine")
    assert lookups
    assert [event.id for event in (await stored(direct))[1:]] == [mine]


async def test_10071_while_the_predecessor_is_not_seen_is_not_decided(server, direct):
    """A head that the log never reached, as a deposed leader shows it, ends as unknown, in time."""
    async with landing_place(server, outage_budget_s=0.5) as (connection, log):
        last = await log.last()
        ahead = Head(last.event_id.stream_seq + 5, 6, 0, "note")
        flight = Flight(log.subject, RUN.run_id, [new_event("note", 1)], ahead, "writer.1")
        with pytest.raises(UnavailableError):
            await Landing(connection, log, flight, divisible=False).land()
    assert await stored(direct) == []


async def test_10176_a_batch_with_a_hole_goes_again_or_in_singles(bridge, direct, proxy):
    hole = Once(lambda m: m.is_event and m.batch_position == 20, lose)
    proxy.on_up = hole
    codes = watch_refusals(proxy)
    ids = await publish_burst(bridge)
    assert hole.happened
    assert codes == [10176]
    proxy.on_up = Once(lambda m: m.is_event and m.batch_position == 20, lose)
    ids += await publish_many(bridge)
    assert codes == [10176, 10176]
    events = (await stored(direct))[1:]
    assert [event.id for event in events] == ids
    assert [event.data for event in events] == [*range(BURST), *range(BURST)]


async def test_10201_a_batch_that_repeats_a_known_event_id_stores_nothing(server, direct):
    first = await direct.publish(RUN.run_id, "note", "first", event_id="order-7")
    batch = [new_event("note", "again", event_id="order-7"), new_event("note", "other")]
    async with landing_place(server, outage_budget_s=0.5) as (connection, log):
        flight = Flight(log.subject, RUN.run_id, batch, Head.of(await log.last()), "writer.1")
        divisible = Landing(connection, log, flight, divisible=True)
        assert await divisible.land() is None
        assert divisible.must_split
        with pytest.raises(UnavailableError) as caught:
            await Landing(connection, log, flight, divisible=False).land()
    assert caught.value.stored is Stored.NO
    assert [event.id for event in await stored(direct)] == [first]


async def test_10210_too_many_open_batches_elsewhere(bridge, direct, proxy, raw, eventually):
    """The server says so to a batch's first message, and 10176 to its commit, which we await.

    Single events go on one by one; a batch that must stay whole waits for a place.
    """
    subject = Subjects("jetrun").event(RunRef(RUN.thread_id, "elsewhere"))
    opened = [{"Nats-Batch-Id": f"batch-{n}", "Nats-Batch-Sequence": "1"} for n in range(50)]
    for headers in opened:
        await raw.publish(subject, b"null", headers=headers)
    one_more = {"Nats-Batch-Id": "one-more", "Nats-Batch-Sequence": "1"}
    answer = await raw.request(subject, b"null", headers=one_more, timeout=10)
    assert json.loads(answer.data)["error"]["err_code"] == 10210
    codes = watch_refusals(proxy)
    ids = list(await publish_burst(bridge))
    # On a slow machine a flight is sent again too early: 10071 says that the first copy was there.
    assert codes[0] == 10176
    assert set(codes) <= {10176, 10071}
    waiting = asyncio.create_task(publish_many(bridge))
    await eventually(lambda: codes.count(10176) >= 3)
    assert not waiting.done()
    for headers in opened:
        end = {**headers, "Nats-Batch-Sequence": "2", "Nats-Batch-Commit": "1"}
        await raw.publish(subject, b"null", headers=end)
    ids += await waiting
    assert set(codes) <= {10176, 10071}
    assert [event.id for event in (await stored(direct))[1:]] == ids


@pytest.mark.parametrize("answers", ["come", "get lost"])
async def test_10077_a_log_that_others_have_filled_refuses_until_there_is_room(
    connect, proxy, raw, eventually, answers
):
    """Past the room that this process has reckoned with; an unanswered copy is not forgotten."""
    limits = {"max_bytes": 1 << 20}
    direct, bridge = await connect(**limits), await connect(proxy.url, **limits)
    await direct.create(RUN.run_id, thread_id=RUN.thread_id)
    await bridge.publish(RUN.run_id, "note", "first")
    filling = Subjects("jetrun").event(RunRef(RUN.thread_id, "elsewhere"))
    codes = watch_refusals(proxy)
    if answers == "get lost":

        async def fill_and_lose(_wire, _message):
            await fill(raw, filling)

        proxy.on_down = Once(lambda m: m.is_ack, fill_and_lose)
        mine = [await bridge.publish(RUN.run_id, "note", "x" * 50_000)]
    else:
        await fill(raw, filling)
        with pytest.raises(StreamCapacityExceededError) as caught:
            await bridge.publish(RUN.run_id, "note", "x" * 50_000)
        assert caught.value.retryable
        assert codes == [10077]
        mine = []
    assert [event.id for event in (await stored(direct))[1:]] == mine
    await raw.jetstream().purge_stream("JETRUN_EVENTS", subject=filling)

    async def has_room():
        with suppress(StreamCapacityExceededError):
            return await bridge.publish(RUN.run_id, "note", "x" * 50_000)

    mine.append(await eventually(has_room))
    assert [event.id for event in (await stored(direct))[1:]] == mine


async def fill(raw, subject):
    """Publish past the bridge until the server takes no more."""
    while "error" not in json.loads((await raw.request(subject, b"x" * 50_000)).data):
        pass


async def test_a_server_that_is_away_fails_within_the_budget_and_stores_nothing(
    direct, proxy, connect
):
    bridge = await connect(proxy.url, outage_budget_s=0.5)
    await bridge.publish(RUN.run_id, "note", "first")
    proxy.accepts = False
    proxy.on_up = Once(lambda m: m.is_event, cut)
    outcomes = await asyncio.gather(
        *(bridge.publish(RUN.run_id, "note", n) for n in range(100)),
        bridge.publish_many(RUN.run_id, [new_event("note", n) for n in range(100)]),
        bridge.publish_end(RUN.run_id),
        return_exceptions=True,
    )
    assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
    # Only the first flight, some of the single events, may have reached the server.
    states = [outcome.stored for outcome in outcomes]
    flown = states.count(Stored.UNKNOWN)
    assert 1 <= flown <= 100
    assert states == [Stored.UNKNOWN] * flown + [Stored.NO] * (len(states) - flown)
    with pytest.raises(UnavailableError) as caught:
        async with asyncio.timeout(2):
            await bridge.publish(RUN.run_id, "note", "later")
    assert caught.value.stored is Stored.NO
    proxy.accepts = True
    again = [await bridge.publish(RUN.run_id, "note", "again") for _ in range(2)]
    assert [event.id for event in (await stored(direct))[1:]] == again


@pytest.mark.parametrize("reaches", [True, False], ids=["stored", "never stored"])
async def test_an_outage_with_an_event_in_the_air_says_that_its_fate_is_unknown(
    direct, proxy, connect, reaches
):
    bridge = await connect(proxy.url, outage_budget_s=0.5)
    await bridge.publish(RUN.run_id, "note", "first")

    def vanish(wire, _message):
        proxy.accepts = False
        wire.cut()

    if reaches:
        proxy.on_down = Once(lambda m: m.is_ack, vanish)
    else:
        proxy.on_up = Once(lambda m: m.is_event, vanish)
    with pytest.raises(UnavailableError) as caught:
        async with asyncio.timeout(2):
            await bridge.publish(RUN.run_id, "note", "mine", event_id="order-7")
    assert caught.value.stored is Stored.UNKNOWN
    assert len(await stored(direct)) == 1 + reaches
    # Another process repeats it, then this one does: it is there once.
    first = await direct.publish(RUN.run_id, "note", "mine", event_id="order-7")
    proxy.accepts = True
    assert await bridge.publish(RUN.run_id, "note", "mine", event_id="order-7") == first
    assert [event.id for event in (await stored(direct))[1:]] == [first]


async def test_silence_while_looking_for_the_fate_keeps_it_unknown(direct, proxy, connect):
    """Reads go unanswered, too: what was sent may still be stored, and the budget holds."""
    bridge = await connect(proxy.url, outage_budget_s=0.8)
    await bridge.publish(RUN.run_id, "note", "first")

    async def say_nothing(_wire, message):
        return message.verb == b"PONG"

    proxy.on_down = say_nothing
    with pytest.raises(UnavailableError) as caught:
        async with asyncio.timeout(2):
            await bridge.publish(RUN.run_id, "note", "mine")
    assert caught.value.stored is Stored.UNKNOWN
    assert len(await stored(direct)) == 2


@pytest.mark.parametrize("count", [1, BURST], ids=["single", "batch"])
async def test_a_late_landing_is_not_mistaken_for_what_came_after(
    direct, proxy, connect, count, eventually
):
    """An event of unknown fate lands just before the next one would, in its very place."""
    bridge = await connect(proxy.url, outage_budget_s=0.5)
    await bridge.publish(RUN.run_id, "note", "first")
    wires = []

    async def hold(wire, message):
        if not message.is_event:
            return True
        proxy.accepts = False
        wires.append(wire)
        wire.hold(message)
        return False

    proxy.on_up = hold
    with pytest.raises(UnavailableError) as caught:
        await bridge.publish_many(
            RUN.run_id, [new_event("note", f"late {n}") for n in range(count)]
        )
    assert caught.value.stored is Stored.UNKNOWN

    async def land(_wire, _message):
        wires[0].release()
        await eventually(lambda: has_events(direct, 1 + count))

    proxy.on_up = Once(lambda m: m.is_event, land, passes=True)
    proxy.accepts = True
    ids = await bridge.publish_many(
        RUN.run_id, [new_event("note", f"next {n}") for n in range(count)]
    )
    events = (await stored(direct))[1:]
    assert [event.data for event in events] == [
        *(f"late {n}" for n in range(count)),
        *(f"next {n}" for n in range(count)),
    ]
    assert [event.id for event in events[count:]] == ids


async def test_a_copy_that_lands_after_the_repeated_one_is_refused(bridge, direct, proxy):
    wires = []

    async def hold_first(wire, message):
        if wires or not message.is_event:
            return True
        wires.append(wire)
        wire.hold(message)
        return False

    proxy.on_up = hold_first
    mine = await bridge.publish(RUN.run_id, "note", "mine")
    wires[0].release()
    after = await bridge.publish(RUN.run_id, "note", "after")
    assert [event.id for event in (await stored(direct))[1:]] == [mine, after]


@pytest.fixture
async def cluster(tmp_path):
    async with EmbeddedCluster(tmp_path / "cluster") as running:
        yield running


@pytest.fixture
async def replicated(cluster):
    """Open a bridge to one node of a cluster, or to all: ``await replicated(url)``."""
    async with AsyncExitStack() as stack:

        async def connect(url):
            access = NatsSettings(url=url, user=cluster.user, password=cluster.password)
            log = LogSettings(replicas=3, request_timeout_s=1)
            bridge = JetStreamBridge(BridgeSettings(nats=access, log=log))
            return await stack.enter_async_context(bridge)

        yield connect


async def test_10164_a_predecessor_that_is_still_replicated_is_waited_for(
    cluster, replicated, eventually
):
    """Both followers stand still, so what the leader has taken is neither stored nor refused."""
    direct = await replicated(cluster.url)
    await direct.create(RUN.run_id, thread_id=RUN.thread_id)
    leader = await find_leader(cluster)
    async with LossyProxy(leader.port) as proxy:
        other, bridge = await replicated(leader.url), await replicated(proxy.url)
        await bridge.publish(RUN.run_id, "note", "first")
        await other.publish(RUN.run_id, "note", "second")
        codes = watch_refusals(proxy)
        with standing_still([node for node in cluster.nodes if node is not leader]):
            theirs = asyncio.create_task(other.publish(RUN.run_id, "note", "theirs"))
            await eventually(lambda: other.unanswered_requests)  # it is on its way
            mine = asyncio.create_task(bridge.publish(RUN.run_id, "note", "mine"))
            await eventually(lambda: 10164 in codes)
        ids = [await theirs, await mine]
    assert [event.id for event in (await stored(direct))[2:]] == sorted(ids)


@contextmanager
def standing_still(nodes):
    """Stop the processes of some nodes for the length of a context."""
    for node in nodes:
        os.kill(node.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            os.kill(node.pid, signal.SIGCONT)


async def find_leader(cluster):
    """The node that leads the event stream."""
    client = await nats.connect(
        cluster.nodes[0].url, user=cluster.user, password=cluster.password.get_secret_value()
    )
    answer = await client.request("$JS.API.STREAM.INFO.JETRUN_EVENTS", timeout=5)
    await client.close()
    name = json.loads(answer.data)["cluster"]["leader"]
    return next(node for node in cluster.nodes if node.server_name == name)


async def has_events(direct, count):
    return len(await stored(direct)) == count


def watch_refusals(proxy):
    """Collect the codes of refused publishes, beside what the proxy loses."""
    codes, lossy = [], proxy.on_down

    async def watch(wire, message):
        if b'{"stream":"JETRUN_EVENTS"' in message.raw or b'{"error"' in message.raw:
            code = message.refusal()
            if code is not None:
                codes.append(code)
        return await lossy(wire, message)

    proxy.on_down = watch
    return codes


def landing_place(server, **limits):
    """A connection and the run's log, to send a flight past the writer."""
    return LandingPlace(server, limits)


class LandingPlace:
    def __init__(self, server, limits):
        nats_settings = NatsSettings(url=server.url, user=server.user, password=server.password)
        settings = BridgeSettings(nats=nats_settings, log=LogSettings(**limits))
        self._connection = Connection(settings)

    async def __aenter__(self):
        await self._connection.open()
        reader = StreamReader(
            self._connection, "JETRUN_EVENTS", max_concurrent_reads=1, timeout_s=1
        )
        subjects = Subjects("jetrun")
        seals = Seals(self._connection, reader, subjects)
        return self._connection, EventLog(reader, subjects, seals).run(RUN)

    async def __aexit__(self, *_):
        await self._connection.close()
