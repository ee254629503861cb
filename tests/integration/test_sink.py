"""The sink against a real server: every event in the files, once, in order, and what it refuses."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import orjson
import pytest

from bridge import (
    ApiError,
    BridgeSettings,
    ConsumerSpec,
    JetStreamBridge,
    NatsSettings,
    RunRef,
    new_event,
)
from bridge.subjects import Subjects
from store import (
    ArchiveLayout,
    ArchiveLockedError,
    ArchiveReader,
    ArchiveSettings,
    LogReplacedError,
    parse_line,
)
from store.lock import ArchiveLock
from store.sink import Sink

SETTINGS = ArchiveSettings(
    fetch_wait_s=0.05, ack_wait_s=1, standby_poll_s=0.01, mark_interval_s=0.01, max_backoff_s=0.1
)


@pytest.fixture
def nats_settings(server):
    return NatsSettings(url=server.url, user=server.user, password=server.password)


@pytest.fixture
async def bridge(nats_settings):
    async with JetStreamBridge(BridgeSettings(nats=nats_settings)) as opened:
        yield opened


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def layout(root):
    return ArchiveLayout(root)


@asynccontextmanager
async def sinking(bridge, root, settings=SETTINGS):
    """Run a sink in the background; leaving ends it in order and raises what it raised."""
    stop = asyncio.Event()
    task = asyncio.create_task(Sink(bridge, root, settings).run(stop))

    async def end():
        stop.set()
        async with asyncio.timeout(10):
            await task

    try:
        yield end
    finally:
        await end()


async def publish_run(bridge, run, count):
    """Create a run, publish ``count`` events and end it; returns all its events as stored."""
    await bridge.create(run.run_id, thread_id=run.thread_id)
    for first in range(0, count, 100):
        numbers = range(first, min(first + 100, count))
        await bridge.publish_many(run.run_id, [new_event("messages", {"n": n}) for n in numbers])
    await bridge.publish_end(run.run_id)
    return await stored_events(bridge, run)


async def stored_events(bridge, run):
    events = []
    while found := await bridge.read_after(run, len(events)):
        events += found
    return events


def archived(root, run):
    records = ArchiveReader(root, on_malformed=pytest.fail).read_run(run)
    return [(record.seq, record.run_seq, record.event_type, record.content) for record in records]


def expected(events):
    return [(*event.event_id, event.event, event.data) for event in events]


def is_archived(root, run, count):
    return lambda: len(archived(root, run)) == count


def dead_letters(layout):
    return [orjson.loads(line) for line in layout.dead_letters.read_bytes().splitlines()]


@asynccontextmanager
async def plain_connection(server):
    connection = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )
    try:
        yield connection
    finally:
        await connection.close()


async def unacknowledged(server):
    async with plain_connection(server) as connection:
        info = await connection.jetstream().consumer_info("JETRUN_EVENTS", "sink")
        return info.num_ack_pending + info.num_pending


async def test_every_event_of_many_runs_is_archived_once_and_in_order(
    bridge, root, server, eventually
):
    runs = [RunRef(f"thread-{n % 3}", f"run-{n}") for n in range(12)]
    async with sinking(bridge, root):
        stored = await asyncio.gather(*(publish_run(bridge, run, 250) for run in runs))
        for run in runs:
            await eventually(is_archived(root, run, 252), within_s=10)

        async def all_acknowledged():
            return await unacknowledged(server) == 0

        await eventually(all_acknowledged)
    for run, events in zip(runs, stored, strict=True):
        assert archived(root, run) == expected(events)


async def test_what_was_published_before_the_first_start_is_archived_too(bridge, root, eventually):
    run = RunRef("thread-1", "run-1")
    events = await publish_run(bridge, run, 10)
    async with sinking(bridge, root):
        await eventually(is_archived(root, run, 12))
    assert archived(root, run) == expected(events)


async def test_a_record_carries_all_facts_of_its_event(bridge, root, eventually):
    run = RunRef("thread-1", "run-1")
    await bridge.create(run.run_id, thread_id=run.thread_id)
    await bridge.publish(
        run.run_id, "updates", {"text": "a\u2028b"}, category="trace", metadata={"node": "plan é"}
    )
    async with sinking(bridge, root):
        await eventually(is_archived(root, run, 2))
    event = (await stored_events(bridge, run))[1]
    record = list(ArchiveReader(root).read_run(run))[1]
    assert record.model_dump() == {
        "thread_id": "thread-1",
        "run_id": "run-1",
        "seq": event.event_id.stream_seq,
        "run_seq": 2,
        "created_at": event.created_at,
        "event_type": "updates",
        "category": "trace",
        "metadata": {"node": "plan é"},
        "content": {"text": "a\u2028b"},
    }


async def test_a_second_sink_waits_and_takes_over(nats_settings, bridge, root, caplog, eventually):
    caplog.set_level(logging.INFO)
    run = RunRef("thread-1", "run-1")
    async with (
        sinking(bridge, root) as end_first,
        JetStreamBridge(BridgeSettings(nats=nats_settings)) as other,
    ):
        await eventually(lambda: "sink.ready" in caplog.messages)
        async with sinking(other, root):
            await eventually(lambda: "sink.standby" in caplog.messages)
            await publish_run(bridge, run, 5)
            await eventually(is_archived(root, run, 7))
            assert caplog.messages.count("sink.ready") == 1
            await end_first()
            await eventually(lambda: caplog.messages.count("sink.ready") == 2)
            later = RunRef("thread-1", "run-2")
            await publish_run(bridge, later, 5)
            await eventually(is_archived(root, later, 7))


async def test_holes_are_read_from_the_log_when_deliveries_went_astray(bridge, root, eventually):
    run = RunRef("thread-1", "run-1")
    await bridge.create(run.run_id, thread_id=run.thread_id)
    await bridge.publish_many(run.run_id, [new_event("messages", n) for n in range(700)])
    spec = ConsumerSpec.checked(
        "sink", ack_wait_s=60, max_deliver=None, max_ack_pending=10_000, is_kept=True
    )
    async with bridge.open_consumer(spec) as consumer:
        taken = []
        while len(taken) < 701:
            taken += await consumer.fetch(1000, wait_s=1)
    await bridge.publish_end(run.run_id)
    # Nobody acknowledged 701 events: for 60 s the sink is handed the last one only.
    settings = SETTINGS.model_copy(update={"ack_wait_s": 60.0, "max_hole_events": 100})
    async with sinking(bridge, root, settings):
        await eventually(is_archived(root, run, 702))
    assert archived(root, run) == expected(await stored_events(bridge, run))


async def test_a_sink_whose_consumer_was_deleted_goes_on_without_a_doubled_event(
    bridge, root, eventually
):
    run = RunRef("thread-1", "run-1")
    await bridge.create(run.run_id, thread_id=run.thread_id)
    async with sinking(bridge, root):
        await bridge.publish_many(run.run_id, [new_event("messages", n) for n in range(20)])
        await eventually(is_archived(root, run, 21))
        await bridge.delete_consumer("sink")
        await bridge.publish_end(run.run_id)
        await eventually(is_archived(root, run, 22), within_s=15)
    assert archived(root, run) == expected(await stored_events(bridge, run))


async def test_events_that_the_log_lost_leave_a_visible_gap_and_block_nothing(
    bridge, root, layout, eventually
):
    run = RunRef("thread-1", "run-1")
    await publish_run(bridge, run, 20)
    await bridge.trim(run.run_id, keep=3)
    async with sinking(bridge, root):
        await eventually(is_archived(root, run, 3))
    assert [run_seq for _, run_seq, *_ in archived(root, run)] == [20, 21, 22]
    (letter,) = dead_letters(layout)
    assert letter["cause"] == "events-lost"
    assert (letter["run_id"], letter["after_run_seq"], letter["before_run_seq"]) == ("run-1", 0, 20)


def headers_of(run_seq):
    return {
        "Run-Event": "messages",
        "Run-Seq": str(run_seq),
        "Run-Bytes": "1",
        "Run-Category": "stream",
        "Run-Time": "2030-01-02T03:04:05Z",
        "Run-Writer": "go-service",
        "Run-Version": "1",
    }


async def test_a_foreign_publishers_json_is_archived_and_what_is_no_json_is_kept_beside_it(
    bridge, root, layout, server, eventually
):
    run = RunRef("thread-1", "run-1")
    await bridge.create(run.run_id, thread_id=run.thread_id)
    payloads = [json.dumps({"a": [1, 2]}, indent=2).encode(), b'{"a": NaN}', b"[3]"]
    async with plain_connection(server) as connection:
        publish = connection.jetstream().publish
        for run_seq, payload in enumerate(payloads, start=2):
            await publish(Subjects().event(run), payload, headers=headers_of(run_seq))
    async with sinking(bridge, root):
        await eventually(is_archived(root, run, 4))
    assert [content for *_, content in archived(root, run)][1:] == [{"a": [1, 2]}, None, [3]]
    (letter,) = dead_letters(layout)
    assert (letter["cause"], letter["run_seq"]) == ("invalid-payload", 3)


async def test_messages_that_are_no_events_hold_nobody_up(
    bridge, root, layout, server, caplog, eventually
):
    spoilt, sound = RunRef("thread-1", "run-1"), RunRef("thread-1", "run-2")
    await bridge.create(spoilt.run_id, thread_id=spoilt.thread_id)
    async with plain_connection(server) as connection:
        publish = connection.jetstream().publish
        await publish(Subjects().event(spoilt), b"hello")
        await publish(Subjects().event(spoilt), b"{}", headers=headers_of(3))
        await publish("jetrun.events.00.thread.a=b", b"{}", headers=headers_of(1))
    events = await publish_run(bridge, sound, 3)
    async with sinking(bridge, root):
        await eventually(is_archived(root, sound, 5))
        await eventually(is_archived(root, spoilt, 2))
    assert archived(root, sound) == expected(events)
    assert [run_seq for _, run_seq, *_ in archived(root, spoilt)] == [1, 3]
    assert [letter["cause"] for letter in dead_letters(layout)] == ["invalid-id", "events-lost"]
    assert "consumer.message.foreign" in caplog.messages


async def test_a_log_that_was_wiped_is_refused_with_an_explanation(bridge, root, layout):
    layout.root.mkdir()
    layout.mark.write_text('{"last_seq": 1000}')
    await publish_run(bridge, RunRef("thread-1", "run-1"), 3)
    with pytest.raises(LogReplacedError, match="up to sequence 1000") as caught:
        await Sink(bridge, root, SETTINGS).run(asyncio.Event())
    assert (caught.value.archived_seq, caught.value.log_seq) == (1000, 5)
    assert not layout.threads.exists()


async def test_a_log_that_is_wiped_under_a_running_sink_is_refused_too(
    bridge, nats_settings, root, server, eventually
):
    run = RunRef("thread-1", "run-1")
    events = await publish_run(bridge, run, 3)
    sink = asyncio.create_task(Sink(bridge, root, SETTINGS).run(asyncio.Event()))
    await eventually(is_archived(root, run, 5))
    async with plain_connection(server) as connection:
        await connection.jetstream().delete_stream("JETRUN_EVENTS")
    async with JetStreamBridge(BridgeSettings(nats=nats_settings)) as renewed, asyncio.timeout(5):
        # It may look while there is no stream at all.
        with pytest.raises((LogReplacedError, ApiError)):
            await sink
        with pytest.raises(LogReplacedError, match="new archive in another data directory"):
            await Sink(renewed, root, SETTINGS).run(asyncio.Event())
    assert archived(root, run) == expected(events)


async def test_a_sink_that_is_cancelled_keeps_the_lock_until_its_write_is_done(
    bridge, root, layout, monkeypatch
):
    may_sync, is_syncing, was_locked = threading.Event(), threading.Event(), []
    sync = os.fdatasync

    def slow_sync(fd):
        if layout.threads in Path(f"/proc/self/fd/{fd}").readlink().parents:
            is_syncing.set()
            may_sync.wait(5)
            with pytest.raises(ArchiveLockedError):
                ArchiveLock(layout.lock).acquire()
            was_locked.append(True)
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", slow_sync)
    await publish_run(bridge, RunRef("thread-1", "run-1"), 3)
    sink = asyncio.create_task(Sink(bridge, root, SETTINGS).run(asyncio.Event()))
    assert await asyncio.to_thread(is_syncing.wait, 5)
    sink.cancel()
    threading.Timer(0.1, may_sync.set).start()
    with pytest.raises(asyncio.CancelledError):
        await sink
    assert was_locked
    lock = ArchiveLock(layout.lock)
    lock.acquire()
    lock.release()


async def test_the_archive_notes_how_far_it_has_come(bridge, root, layout, eventually):
    events = await publish_run(bridge, RunRef("thread-1", "run-1"), 3)
    async with sinking(bridge, root):
        await eventually(is_archived(root, RunRef("thread-1", "run-1"), 5))
    assert orjson.loads(layout.mark.read_bytes())["last_seq"] == events[-1].event_id.stream_seq


async def test_the_sink_goes_on_by_itself_after_the_server_was_killed(
    bridge, root, server, eventually
):
    run = RunRef("thread-1", "run-1")
    await bridge.create(run.run_id, thread_id=run.thread_id)
    async with sinking(bridge, root):
        for n in range(3):
            await bridge.publish_many(run.run_id, [new_event("messages", n)] * 50)
            await server.kill()
            await server.restart()
        await bridge.publish_end(run.run_id)
        await eventually(is_archived(root, run, 152), within_s=20)
    assert archived(root, run) == expected(await stored_events(bridge, run))


async def test_a_disk_that_refuses_is_waited_out_and_nothing_is_acknowledged_before(
    bridge, root, layout, server, caplog, eventually
):
    run = RunRef("thread-1", "run-1")
    layout.root.mkdir()
    layout.threads.write_text("in the way of the directory")
    async with sinking(bridge, root):
        await publish_run(bridge, run, 3)
        await eventually(lambda: caplog.messages.count("sink.write.failed") > 2)
        assert await unacknowledged(server) == 5
        layout.threads.unlink()
        await eventually(is_archived(root, run, 5))


@pytest.fixture
def start_process(server, root):
    """Start the sink as a process; all are killed at the end."""
    started = []

    def start(**more):
        environment = {
            **os.environ,
            "JETRUN_NATS__URL": server.url,
            "JETRUN_NATS__USER": server.user,
            "JETRUN_NATS__PASSWORD": server.password.get_secret_value(),
            "JETRUN_DATA": str(root),
            **more,
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "store.sink"], env=environment, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def read_until(process, event):
    """Read the log of a process up to an event; returns its facts."""
    for line in process.stderr:
        facts = json.loads(line)
        if facts["event"] == event:
            return facts
    return pytest.fail(f"the process ended without {event}")


async def test_the_process_tells_when_it_is_ready_and_ends_in_order_on_sigterm(
    start_process, bridge, root, eventually
):
    process = start_process()
    ready = await asyncio.to_thread(read_until, process, "sink.ready")
    assert ready["root"] == str(root)
    run = RunRef("thread-1", "run-1")
    await publish_run(bridge, run, 10)
    await eventually(is_archived(root, run, 12))
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(read_until, process, "sink.stopped")
    assert await asyncio.to_thread(process.wait, 10) == 0


async def test_the_process_waits_for_a_server_that_is_away(start_process, server):
    await server.kill()
    process = start_process(JETRUN_NATS__CONNECT_TIMEOUT_S="0.2")
    await asyncio.to_thread(read_until, process, "process.waits_for_nats")
    await server.restart()
    await asyncio.to_thread(read_until, process, "sink.ready")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("JETRUN_ARCHIV__MAX_OPEN_FILES", "5", "JETRUN_ARCHIVE"),
        ("JETRUN_ARCHIVE__MAX_OPEN_FILE", "5", "max_open_file"),
        ("JETRUN_ARCHIVE__MAX_OPEN_FILES", "0", "max_open_files"),
    ],
)
def test_the_process_refuses_what_is_no_setting(start_process, root, variable, value, said):
    process = start_process(**{variable: value})
    assert process.wait(10) == 1
    assert said in process.stderr.read().decode()
    assert not root.exists()


async def test_the_process_explains_why_it_cannot_go_on(start_process, layout):
    layout.root.mkdir()
    layout.mark.write_text('{"last_seq": 1000}')
    process = start_process()
    failed = await asyncio.to_thread(read_until, process, "process.failed")
    assert failed["kind"] == "LogReplacedError"
    assert process.wait(10) == 1


async def test_files_hold_only_lines_that_parse_while_they_are_written(bridge, root):
    run = RunRef("thread-1", "run-1")
    async with sinking(bridge, root):
        publishing = asyncio.create_task(publish_run(bridge, run, 2000))
        seen = 0
        while seen < 2002:
            records = await asyncio.to_thread(archived, root, run)
            assert [run_seq for _, run_seq, *_ in records] == list(range(1, len(records) + 1))
            assert len(records) >= seen
            seen = len(records)
        await publishing


async def test_the_file_of_a_deleted_run_holds_its_marker_and_nothing_else(
    bridge, root, layout, eventually
):
    run, other = RunRef("thread-1", "run-1"), RunRef("thread-1", "run-2")
    await publish_run(bridge, run, 20)
    kept = await publish_run(bridge, other, 3)
    async with sinking(bridge, root):
        await eventually(is_archived(root, run, 22))
        await bridge.cleanup(run.run_id)
        await eventually(is_archived(root, run, 1))
    (line,) = layout.run(run).read_bytes().splitlines()
    assert (parse_line(line).event_type, parse_line(line).run_seq) == ("deleted", 23)
    assert archived(root, other) == expected(kept)
    assert not layout.dead_letters.exists()


async def test_a_run_that_was_deleted_before_the_sink_came_leaves_its_marker(
    bridge, root, layout, eventually
):
    run = RunRef("thread-1", "run-1")
    await publish_run(bridge, run, 20)
    await bridge.cleanup(run.run_id)
    async with sinking(bridge, root):
        await eventually(is_archived(root, run, 1))
    assert archived(root, run)[0][2] == "deleted"
    assert not layout.dead_letters.exists()
