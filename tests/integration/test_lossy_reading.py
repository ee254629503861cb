"""Live messages, pages of history and whole connections get lost under readers, who notice.

What a test loses is lost on the wire between the readers' connection and a real server.
"""

import asyncio
import time
from contextlib import AsyncExitStack

import nats
import pytest
from lossy_wire import LossyProxy

from bridge import (
    END,
    HEARTBEAT,
    BridgeSettings,
    GapReason,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    StreamEvent,
    new_event,
)

RUN = "run-1"
THREAD = "thread-1"
#: So long that no reader is healed by its heartbeat within the limit of a test.
NO_HEARTBEAT_S = 100.0


@pytest.fixture
async def proxy(server):
    async with LossyProxy(server.port) as running:
        yield running


@pytest.fixture
async def connect(server):
    async with AsyncExitStack() as stack:

        async def connect(url=server.url):
            access = NatsSettings(
                url=url,
                user=server.user,
                password=server.password,
                reconnect_wait_s=0.02,
                ping_interval_s=0.2,
            )
            log = LogSettings(request_timeout_s=0.3, outage_budget_s=20)
            settings = BridgeSettings(nats=access, log=log)
            return await stack.enter_async_context(JetStreamBridge(settings))

        yield connect


@pytest.fixture
async def publishing(connect):
    """A bridge that loses nothing, with a run of 101 events."""
    bridge = await connect()
    await bridge.create(RUN, thread_id=THREAD)
    await bridge.publish_many(RUN, [new_event("note", n) for n in range(100)])
    return bridge


@pytest.fixture
async def make_hole(server, publishing):
    """Remove events in the middle of the run, as a killed server does; their ids."""
    stored = [event.id for event in await read_events(publishing)]
    client = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )
    for event_id in stored[40:60]:
        await client.jetstream().delete_msg("JETRUN_EVENTS", int(event_id.split("-")[0]))
    await client.close()
    return stored[40:60]


async def read_events(bridge):
    async with bridge.follow(RUN) as following:
        batches = following.batches()
        seen = []
        while len(seen) < 101:
            seen += await anext(batches)
        await batches.aclose()
    return seen


async def test_a_cursor_in_a_hole_of_the_log_is_told_what_is_missing(publishing, make_hole):
    await publishing.publish_end(RUN)
    for position, cursor in enumerate(make_hole, start=1):
        async with asyncio.timeout(10), publishing.subscribe(RUN, last_event_id=cursor) as items:
            seen = [item async for item in items if item is not HEARTBEAT]
        if position < len(make_hole):
            gap = seen.pop(0)
            assert (gap.reason, gap.missing) == (GapReason.EVICTED, len(make_hole) - position)
        assert [item.run_seq for item in seen[:-1]] == list(range(61, 103))


async def test_a_cursor_that_never_was_is_unknown_beside_a_hole_of_the_log(publishing, make_hole):
    seq = int(make_hole[5].split("-")[0])
    for run_seq in (40, 61, 70):
        cursor = f"{seq}-{run_seq}"
        async with asyncio.timeout(10), publishing.subscribe(RUN, last_event_id=cursor) as items:
            assert (await anext(items)).reason is GapReason.UNKNOWN


async def read_all(bridge, heartbeat_s=NO_HEARTBEAT_S):
    """The run_seqs that a reader gets up to the end."""
    async with (
        asyncio.timeout(30),
        bridge.subscribe(RUN, heartbeat_interval=heartbeat_s) as items,
    ):
        seen = [item async for item in items if item is not HEARTBEAT]
    assert seen.pop() is END
    assert all(isinstance(item, StreamEvent) for item in seen)
    return [item.run_seq for item in seen]


def is_live(message):
    return message.raw.split(b" ", 2)[1].startswith(b"jetrun.live.")


def is_page(message):
    """Whether it belongs to the answer to a bulk read."""
    return message.verb == b"HMSG" and (
        b"Nats-Num-Pending" in message.raw or b"NATS/1.0 404" in message.raw
    )


def is_page_end(message):
    return message.verb == b"HMSG" and b"NATS/1.0 204" in message.raw


def run_seq_of(message):
    return int(message.raw.partition(b"Run-Seq: ")[2].split(b"\r\n", 1)[0])


def with_status(message, status):
    """The same answer, saying something else."""
    subject, sid = message.raw.split(b" ", 3)[1:3]
    head = b"NATS/1.0 %s\r\n\r\n" % status
    return b"HMSG %s %s %d %d\r\n%s\r\n" % (subject, sid, len(head), len(head), head)


async def claim_cluster(_wire, message):
    """Have the server say that it is one of many: only among those some may lag."""
    if message.verb == b"INFO":
        message.raw = message.raw.replace(b'INFO {"', b'INFO {"cluster":"some","', 1)
    return True


async def publish_slowly(bridge):
    for number in range(100, 200):
        await bridge.publish(RUN, "note", number)
    await bridge.publish_end(RUN)


@pytest.mark.parametrize("every", [2, 7])
async def test_lost_live_messages_are_read_from_the_log(publishing, proxy, connect, every):
    bridge, counted = await connect(proxy.url), 0

    async def lose_some(_wire, message):
        nonlocal counted
        if message.verb == b"HMSG" and is_live(message):
            counted += 1
            return counted % every != 0
        return True

    proxy.on_down = lose_some
    reading = asyncio.create_task(read_all(bridge, heartbeat_s=0.2))
    await publish_slowly(publishing)
    assert await reading == list(range(1, 203))
    assert counted >= every


async def test_an_end_that_is_lost_live_is_found_at_the_next_heartbeat(
    publishing, proxy, connect, eventually
):
    bridge = await connect(proxy.url)

    async def lose_live(_wire, message):
        return not (message.verb == b"HMSG" and is_live(message))

    proxy.on_down = lose_live
    reading = asyncio.create_task(read_all(bridge, heartbeat_s=0.1))

    async def is_subscribed():
        return (await bridge.status(RUN)).subscribers == 1

    await eventually(is_subscribed)
    await publishing.publish_end(RUN)
    assert await reading == list(range(1, 103))


@pytest.mark.parametrize("status", [b"408 Bad Request", b"413 Too Large", b"503"])
async def test_a_page_that_ends_with_a_refusal_is_read_again(publishing, proxy, connect, status):
    await publishing.publish_end(RUN)
    bridge, refused = await connect(proxy.url), []

    async def refuse_some(_wire, message):
        if is_page_end(message) and len(refused) < 3:
            refused.append(message)
            message.raw = with_status(message, status)
        return True

    proxy.on_down = refuse_some
    assert await read_all(bridge) == list(range(1, 103))
    assert len(refused) == 3


@pytest.mark.parametrize("fault", ["lost", "cut"])
async def test_a_page_without_its_end_is_read_again(publishing, proxy, connect, fault):
    await publishing.publish_end(RUN)
    bridge, faults = await connect(proxy.url), []

    async def break_some(wire, message):
        if not is_page_end(message) or len(faults) == 2:
            return True
        faults.append(message)
        if fault == "cut":
            wire.cut()
        return False

    proxy.on_down = break_some
    assert await read_all(bridge) == list(range(1, 103))
    assert len(faults) == 2


async def test_a_replica_that_knows_nothing_yet_is_not_believed(publishing, proxy, connect):
    """Every page is answered as by a replica that has not got the run: the leader is asked."""
    await publishing.publish_end(RUN)
    proxy.on_down = claim_cluster
    bridge, ends = await connect(proxy.url), 0

    async def know_nothing(_wire, message):
        nonlocal ends
        if is_page_end(message) and ends < 3:
            ends += 1
            message.raw = with_status(message, b"404 Message Not Found")
            return True
        return not (is_page(message) and ends < 3)

    proxy.on_down = know_nothing
    assert await read_all(bridge) == list(range(1, 103))
    assert ends == 3


@pytest.mark.parametrize("lacks", [range(90, 103), range(40, 50), range(2, 10)], ids=str)
async def test_a_replica_that_lacks_events_is_corrected_by_the_leader(
    publishing, proxy, connect, lacks
):
    """A page lacks events and says that it is complete; no live event ever comes."""
    await publishing.publish_end(RUN)
    proxy.on_down = claim_cluster
    bridge, lacking = await connect(proxy.url), []

    async def leave_out(_wire, message):
        if is_page(message) and not is_page_end(message) and run_seq_of(message) in lacks:
            lacking.append(message)
            return len(lacking) > len(lacks)
        return True

    proxy.on_down = leave_out
    assert await read_all(bridge, heartbeat_s=0.1) == list(range(1, 103))
    assert len(lacking) > len(lacks)


async def test_in_a_cluster_a_reader_looks_again_soon_after_it_joined(publishing, proxy, connect):
    """The live subscription does not reach the leader; the server says that it is one of many."""

    async def lose_subscription(_wire, message):
        return not (message.verb == b"SUB" and is_live(message))

    proxy.on_down, proxy.on_up = claim_cluster, lose_subscription
    bridge = await connect(proxy.url)
    async with bridge.subscribe(RUN, heartbeat_interval=NO_HEARTBEAT_S) as items:
        seen = [await anext(items) for _ in range(101)]
        await publishing.publish_end(RUN)
        async with asyncio.timeout(5):
            seen += [item async for item in items]
    assert seen[-1] is END
    assert [item.run_seq for item in seen[:-1]] == list(range(1, 103))


async def test_a_server_that_says_nothing_is_left_and_everybody_goes_on(
    publishing, proxy, connect, eventually
):
    """The connection stays open and takes everything: only its silence tells."""
    bridge, silenced = await connect(proxy.url), []
    reading = asyncio.create_task(read_all(bridge))

    async def swallow(wire, _message):
        if not silenced:
            silenced.append(wire)
        return wire not in silenced

    await eventually(lambda: bridge.is_connected)
    proxy.on_up = swallow
    async with asyncio.timeout(5):
        first = await bridge.publish(RUN, "note", 100)
    await bridge.publish_end(RUN)
    assert silenced
    assert first.endswith("-102")
    assert await reading == list(range(1, 104))
    assert (await publishing.status(RUN)).event_count == 103


async def test_a_process_that_stood_still_itself_keeps_its_connection(
    publishing, proxy, connect, eventually
):
    """Its timers are late, and the answers come when it looks: nobody is to blame."""
    bridge, wires, questions = await connect(proxy.url), set(), []

    async def stand_still(wire, message):
        wires.add(wire)
        if message.raw.startswith(b"PUB _INBOX."):
            questions.append(message)
            time.sleep(0.7)  # noqa: ASYNC251 - on purpose, with a question in the air
        return True

    proxy.on_up = stand_still
    await eventually(lambda: len(questions) == 3)
    await bridge.publish(RUN, "note", "after")
    assert len(wires) == 1
    assert (await publishing.status(RUN)).event_count == 102
