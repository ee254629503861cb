"""State records and jobs are written once, whatever answers get lost; no fate is guessed."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from lossy_wire import LossyProxy

from bridge import (
    AlreadyQueuedError,
    BridgeError,
    BridgeSettings,
    EmbeddedServer,
    EmbeddedServerSettings,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    StateConflictError,
    Stored,
    StreamCapacityExceededError,
    UnavailableError,
)


@pytest.fixture
async def proxy(server):
    async with LossyProxy(server.port) as running:
        yield running


@pytest.fixture
async def connect(server):
    async with AsyncExitStack() as stack:

        async def connect(url=server.url, **limits):
            access = NatsSettings(
                url=url, user=server.user, password=server.password, reconnect_wait_s=0.02
            )
            log = LogSettings(**{"request_timeout_s": 0.3, "outage_budget_s": 15, **limits})
            settings = BridgeSettings(nats=access, log=log)
            return await stack.enter_async_context(JetStreamBridge(settings))

        yield connect


@pytest.fixture
async def direct(connect):
    return await connect()


class Once:
    """A hook that cuts the connection at, or loses, the first message it is asked about."""

    def __init__(self, claims, *, cuts):
        self._claims = claims
        self._cuts = cuts
        self.happened = False

    async def __call__(self, wire, message):
        if self.happened or not self._claims(message):
            return True
        self.happened = True
        if self._cuts:
            wire.cut()
        return False


def is_write(message):
    return message.verb in (b"PUB", b"HPUB") and (
        b" jetrun.state." in message.raw[:200] or b" jetrun.job." in message.raw[:200]
    )


def is_ack(message):
    return (
        b'{"stream":"JETRUN_STATE"' in message.raw or b'{"stream":"JETRUN_JOBS"' in message.raw
    ) and b'"seq":' in message.raw


SILENCES = {
    "cut before the server has it": ("up", Once, is_write, True),
    "lost before the server has it": ("up", Once, is_write, False),
    "written, then cut": ("down", Once, is_ack, True),
    "written, answer lost": ("down", Once, is_ack, False),
}


@pytest.fixture(params=SILENCES)
def fault(request, proxy):
    direction, hook, claims, cuts = SILENCES[request.param]
    made = hook(claims, cuts=cuts)
    return lambda: setattr(proxy, f"on_{direction}", made) or made


async def test_a_record_without_an_answer_is_written_once(direct, proxy, connect, fault):
    bridge = await connect(proxy.url)
    started = fault()
    revision = await bridge.states.create("thread", "t", b"1")
    assert started.happened
    assert (await direct.states.find("thread", "t")).revision == revision
    started.happened = False
    revision = await bridge.states.update("thread", "t", b"2", revision=revision)
    assert started.happened
    record = await direct.states.find("thread", "t")
    assert (record.value, record.revision) == (b"2", revision)
    started.happened = False
    await bridge.states.delete("thread", "t", revision=revision)
    assert started.happened
    assert await direct.states.is_deleted("thread", "t")


async def test_a_job_without_an_answer_is_queued_once(direct, proxy, connect, fault):
    bridge = await connect(proxy.url)
    started = fault()
    await bridge.jobs.put("echo", "run-1")
    assert started.happened
    with pytest.raises(AlreadyQueuedError):
        await direct.jobs.put("echo", "run-1")
    consumer = await direct.jobs.consumer("echo", lease_s=30)
    assert [job.run_id for job in await consumer.fetch(10, wait_s=0.3)] == ["run-1"]
    await consumer.close()


async def test_a_record_that_changed_meanwhile_is_a_conflict_at_once(direct, connect, proxy):
    bridge = await connect(proxy.url)
    old = await bridge.states.create("thread", "t", b"1")
    await direct.states.update("thread", "t", b"theirs", revision=old)
    with pytest.raises(StateConflictError):
        async with asyncio.timeout(1):
            await bridge.states.update("thread", "t", b"mine", revision=old)
    assert (await direct.states.find("thread", "t")).value == b"theirs"


async def test_a_record_older_than_what_was_read_decides_nothing(direct, connect):
    """As a leader shows it that was just deposed: no conflict is told, and nothing stored."""
    bridge = await connect(outage_budget_s=0.5)
    revision = await direct.states.create("thread", "t", b"1")
    with pytest.raises(UnavailableError) as caught:
        async with asyncio.timeout(2):
            await bridge.states.update("thread", "t", b"2", revision=revision + 5)
    assert caught.value.stored is Stored.NO
    assert (await direct.states.find("thread", "t")).value == b"1"


async def test_silence_while_looking_for_the_fate_of_a_record_keeps_it_unknown(
    direct, proxy, connect
):
    bridge = await connect(proxy.url, outage_budget_s=0.8)

    async def hear_refusals_only(_wire, message):
        return message.verb == b"PONG" or b'"err_code":10071' in message.raw

    proxy.on_down = hear_refusals_only
    with pytest.raises(UnavailableError) as caught:
        async with asyncio.timeout(2):
            await bridge.states.create("thread", "t", b"1")
    assert caught.value.stored is Stored.UNKNOWN
    assert (await direct.states.find("thread", "t")).value == b"1"


async def test_a_job_that_a_full_server_refuses_is_not_taken_for_a_queued_one(tmp_path):
    small = EmbeddedServerSettings(max_file_store_bytes=4 << 20)
    async with EmbeddedServer(tmp_path / "nats", small) as server:
        access = NatsSettings(url=server.url, user=server.user, password=server.password)
        log = LogSettings(max_dead_letter_bytes=1 << 20)  # reserved when its stream is made
        async with JetStreamBridge(BridgeSettings(nats=access, log=log)) as bridge:
            with pytest.raises(BridgeError, match="insufficient"):
                await write_for_ever(bridge)
            with pytest.raises(StreamCapacityExceededError):
                await bridge.jobs.put("echo", "run-1", b"x" * 100_000)
            await bridge._connection.api("$JS.API.STREAM.PURGE.JETRUN_STATE", {})
            await bridge.jobs.put("echo", "run-1", b"x" * 100_000)


async def write_for_ever(bridge):
    for number in range(10_000):
        await bridge.states.create("other", f"record-{number}", b"x" * 50_000)
