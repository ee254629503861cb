"""A sink is paused and resumed, and what it says of itself is true."""

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
import pytest
from commands import run_command

from bridge import (
    BridgeSettings,
    JetStreamBridge,
    NatsSettings,
    RunRef,
    new_event,
    process_registry,
    serving_metrics,
)
from store import ArchiveLayout, ArchiveReader, ArchiveSettings, SinkRecords, SinkState
from store import sink_status as status_module
from store.lock import ArchiveLock
from store.sink import Sink
from store.sink_metrics import SinkCollector, health_of
from store.sink_monitor import LogAge

SETTINGS = ArchiveSettings(
    fetch_wait_s=0.05, standby_poll_s=0.01, status_interval_s=0.05, max_backoff_s=0.1
)
RUN = RunRef("thread-1", "run-1")


@pytest.fixture
async def bridge(server):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    async with JetStreamBridge(BridgeSettings(nats=nats)) as opened:
        await opened.create(RUN.run_id, thread_id=RUN.thread_id)
        yield opened


@pytest.fixture
def records(bridge):
    return SinkRecords(bridge)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def sinking(bridge, root):
    """Run a sink: ``async with sinking() as sink``; leaving ends it in order."""

    @asynccontextmanager
    async def sinking():
        stop = asyncio.Event()
        sink = Sink(bridge, root, SETTINGS)
        running = asyncio.create_task(sink.run(stop))
        try:
            yield sink
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await running

    return sinking


@pytest.fixture
def says(records, eventually):
    """Wait until the status is so: ``await says(SinkState.PAUSED, lag_events=0)``."""

    async def says(state, **facts):
        async def is_so():
            status = await records.find_status()
            is_it = status is not None and status.state is state
            return is_it and all(getattr(status, name) == fact for name, fact in facts.items())

        await eventually(is_so, within_s=15, what=f"{state} {facts}")
        return await records.find_status()

    return says


def archived(root):
    return len(list(ArchiveReader(root).read_run(RUN)))


async def publish(bridge, count):
    await bridge.publish_many(RUN.run_id, [new_event("note", n) for n in range(count)])


async def test_a_paused_sink_leaves_the_log_alone_and_the_archive_free_until_it_is_resumed(
    bridge, root, sinking, says, records
):
    async with sinking():
        await publish(bridge, 10)
        await says(SinkState.ARCHIVING, lag_events=0, reached_seq=11)
        assert archived(root) == 11
        await records.wish(paused=True)
        await says(SinkState.PAUSED)
        await publish(bridge, 20)
        paused = await says(SinkState.PAUSED, lag_events=20)
        assert paused.lag_s >= 0
        assert archived(root) == 11
        lock = ArchiveLock(ArchiveLayout(root).lock)
        lock.acquire()
        lock.release()
        await records.wish(paused=False)
        caught_up = await says(SinkState.ARCHIVING, lag_events=0, reached_seq=31)
        assert archived(root) == 31
        assert (caught_up.events, caught_up.failures, caught_up.lag_s) == (31, 0, 0)


async def test_a_pause_outlives_the_sink(bridge, root, sinking, says, records):
    await records.wish(paused=True)
    await publish(bridge, 5)
    for _ in range(2):
        async with sinking():
            await says(SinkState.PAUSED)
    assert archived(root) == 0
    async with sinking():
        await says(SinkState.PAUSED)
        await records.wish(paused=False)
        await says(SinkState.ARCHIVING, lag_events=0, reached_seq=6)
    assert archived(root) == 6


async def test_a_paused_sink_can_be_stopped(sinking, says, records):
    await records.wish(paused=True)
    async with sinking():
        await says(SinkState.PAUSED)


async def test_a_sink_that_fails_says_so_and_why_and_how_far_it_is_behind(
    bridge, root, sinking, says, eventually
):
    root.mkdir()
    (root / "threads").write_text("in the way of the directory")
    async with sinking() as sink:
        await publish(bridge, 9)
        failing = await says(SinkState.FAILING, lag_events=10)
        assert "threads" in failing.last_error
        assert failing.failures > 0
        await eventually(lambda: sink.status().lag_s > 0.2)
        with listening(bridge, sink) as port:
            status, facts = await get(port, "/health")
            assert (status, json.loads(facts)["state"]) == (503, "failing")
        (root / "threads").unlink()
        sound = await says(SinkState.ARCHIVING, lag_events=0)
        assert sound.last_error == failing.last_error


def listening(bridge, sink):
    """Answer as the sink's process does, on a port that is yielded."""
    registry = process_registry(bridge.metrics, SinkCollector(sink.status))
    return serving_metrics("127.0.0.1", 0, registry, lambda: health_of(sink.status()))


async def get(port, path):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_the_figures_are_there_for_prometheus(bridge, sinking, says):
    async with sinking() as sink:
        await publish(bridge, 9)
        await says(SinkState.ARCHIVING, lag_events=0, events=10)
        with listening(bridge, sink) as port:
            status, text = await get(port, "/metrics")
            assert status == 200
            figures = dict(
                line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")
            )
            assert float(figures["jetrun_sink_events_total"]) == 10
            assert float(figures["jetrun_sink_lag_events"]) == 0
            assert float(figures["jetrun_sink_reached_sequence"]) == 10
            assert float(figures['jetrun_sink_state{state="archiving"}']) == 1
            assert float(figures['jetrun_sink_state{state="paused"}']) == 0
            assert float(figures["jetrun_publish_events_total"]) == 10
            assert (await get(port, "/health"))[0] == 200
            assert (await get(port, "/else"))[0] == 404


async def test_a_sink_that_is_gone_is_away_and_its_lag_is_that_of_the_log(
    bridge, sinking, says, records, monkeypatch
):
    async with sinking():
        await says(SinkState.ARCHIVING, lag_events=0)
    await publish(bridge, 7)
    monkeypatch.setattr(status_module, "AWAY_AFTER_S", 0)
    status = await records.find_status()
    assert (status.state, status.lag_events) == (SinkState.AWAY, 7)
    assert status.lag_s > 0


async def test_who_asks_before_there_was_a_sink_is_told_so(records):
    assert await records.find_status() is None
    assert not await records.is_paused()


def test_the_lag_is_the_age_of_what_was_seen_first_and_is_not_archived():
    age = LogAge()
    age.note(100, log_seq=10, archived_seq=10)
    assert age.seconds(150) == 0
    age.note(200, log_seq=20, archived_seq=10)
    age.note(210, log_seq=30, archived_seq=10)
    assert age.seconds(215) == 15
    age.note(220, log_seq=30, archived_seq=20)
    assert age.seconds(225) == 15
    age.note(230, log_seq=30, archived_seq=30)
    assert age.seconds(300) == 0
    for n in range(5000):
        age.note(400 + n, log_seq=40 + n, archived_seq=30)
    assert age.seconds(5400) == 5000
    assert len(age._sightings) < 2000


@pytest.fixture
def jetrun(settings):
    """Run a command: ``status, out, err = await jetrun("sink", "pause")``."""
    return partial(run_command, settings)


async def test_a_sink_is_paused_resumed_and_asked_from_the_command_line(jetrun, sinking, says):
    status, out, err = await jetrun("sink", "status")
    assert (status, out) == (3, "")
    assert "no sink has ever been at work" in err
    async with sinking():
        await says(SinkState.ARCHIVING, lag_events=0)
        for action, state in (("pause", "paused"), ("resume", "archiving")):
            code, out, _ = await jetrun("sink", action, "--json")
            assert (code, json.loads(out)["state"]) == (0, state)
