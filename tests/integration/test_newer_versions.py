"""What a newer version has stored: each reader refuses it, and nobody takes or harms it."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import nats
import pytest

from bridge import (
    ConsumerSpec,
    JetStreamBridge,
    NewerVersionError,
    RunRef,
    wire,
)
from runs import AssistantCatalog, RunManager, RunSpec, UnreadableRecordError
from runs.langgraph import JetStreamSaver
from runs.models import RunRecord
from store import ArchiveLayout, ArchiveSettings, encode_line
from store.sink import Sink

NEWER = {wire.VERSION: "2"}
RUN = RunRef("thread-1", "run-1")


@pytest.fixture
async def bridge(settings):
    async with JetStreamBridge(settings.bridge) as opened:
        await opened.create(RUN.run_id, thread_id=RUN.thread_id)
        yield opened


@pytest.fixture
def manager(bridge):
    return RunManager(bridge, AssistantCatalog())


@pytest.fixture
async def raw(server):
    """A plain client, in the place of a process of the newer version."""
    password = server.password.get_secret_value()
    client = await nats.connect(server.url, user=server.user, password=password)
    yield client.jetstream()
    await client.close()


@pytest.fixture
def renew(raw):
    """Store the newest message of a subject once more, as a newer version would."""

    async def renew(stream, subject):
        found = await raw.get_last_msg(stream, subject)
        kept = {
            name: value
            for name, value in (found.headers or {}).items()
            if not name.startswith("Nats-")
        }
        ack = await raw.publish(found.subject, found.data, headers={**kept, **NEWER})
        return found.subject, ack.seq

    return renew


@pytest.fixture
def add_newer_event(raw, bridge):
    """Append an event to the run, as a newer version would."""

    async def add_newer_event():
        info = await bridge.status(RUN.run_id)
        headers = {
            wire.EVENT: "note",
            wire.SEQ: str(info.event_count + 1),
            wire.BYTES: str(info.total_bytes + 2),
            wire.CATEGORY: "stream",
            wire.TIME: "2030-01-01T00:00:00.000000Z",
            wire.WRITER: "newer",
            **NEWER,
        }
        subject = f"jetrun.events.{await shard(raw)}.{RUN.thread_id}.{RUN.run_id}"
        return await raw.publish(subject, b"{}", headers=headers)

    return add_newer_event


async def shard(raw):
    found = await raw.get_last_msg("JETRUN_EVENTS", f"jetrun.events.*.*.{RUN.run_id}")
    return found.subject.split(".")[2]


async def test_a_follower_gets_what_it_can_read_and_is_told_of_the_rest(bridge, add_newer_event):
    await bridge.publish(RUN.run_id, "note", {"n": 1})
    await add_newer_event()
    got = []
    with pytest.raises(NewerVersionError, match=r"wire version '2'.*upgrade this process"):
        await follow(bridge, got)
    assert got in ([], ["metadata", "note"])
    with pytest.raises(NewerVersionError):
        await bridge.status(RUN.run_id)
    with pytest.raises(NewerVersionError):
        await bridge.publish(RUN.run_id, "note", {"n": 2})


async def follow(bridge, got):
    async with asyncio.timeout(10), bridge.subscribe(RUN.run_id) as items:
        async for item in items:
            got.append(item.event)


async def test_a_consumer_leaves_a_newer_event_to_others_and_goes_on(bridge, add_newer_event):
    await add_newer_event()
    await bridge.create("run-2", thread_id="thread-2")
    async with bridge.open_consumer(ConsumerSpec.checked("billing")) as consumer:
        got = []
        async with asyncio.timeout(10):
            while len(got) < 2:
                for delivery in await consumer.fetch(10, wait_s=1):
                    got.append((delivery.run_id, delivery.event.run_seq))
                    await delivery.ack()
    assert sorted(got) == [("run-1", 1), ("run-2", 1)]
    assert await bridge.list_dead_letters("billing") == []
    (info,) = await bridge.list_consumers()
    assert info.unacknowledged == 1


async def test_a_subscription_ends_before_a_newer_event_and_keeps_its_place(
    bridge, add_newer_event
):
    await bridge.publish(RUN.run_id, "note", {"n": 1})
    await add_newer_event()
    for _ in range(2):  # whoever opens it next meets the event again
        async with bridge.subscription("page", thread_id=RUN.thread_id) as subscription:
            with pytest.raises(NewerVersionError):
                await read_all(subscription)


async def read_all(subscription):
    async with asyncio.timeout(10):
        while True:
            await subscription.fetch(10, wait_s=0.5)
            await subscription.ack()


async def test_newer_records_are_neither_read_nor_replaced(bridge, manager, renew):
    record = await manager.create(RunSpec(assistant_id="echo", if_not_exists="create"))
    subject, seq = await renew("JETRUN_STATE", f"jetrun.state.*.run.{record.run_id}")
    with pytest.raises(NewerVersionError, match=record.run_id):
        await manager.records.find_run(record.run_id)
    with pytest.raises(NewerVersionError):
        await bridge.states.find_many("run", [record.run_id])
    with pytest.raises(NewerVersionError):
        await bridge.states.changed("run", after=0)
    with pytest.raises(NewerVersionError):
        await manager.cancel(RunRef(record.thread_id, record.run_id))
    await renew("JETRUN_STATE", f"jetrun.state.*.thread.{record.thread_id}")
    with pytest.raises(NewerVersionError):
        await manager.create(RunSpec(assistant_id="echo", thread_id=record.thread_id))
    assert (
        seq
        == (
            await bridge._connection.api(
                "$JS.API.STREAM.MSG.GET.JETRUN_STATE", {"last_by_subj": subject}
            )
        )["message"]["seq"]
    )


async def test_a_gateway_says_that_another_one_may_know_and_searches_nothing_half_read(http, renew):
    async with http.post("/threads", json={"thread_id": "t-new"}) as answer:
        assert answer.status == 200
    await renew("JETRUN_STATE", "jetrun.state.*.thread.t-new")
    for ask in (http.get("/threads/t-new"), http.post("/threads/search", json={})):
        async with ask as answer:
            problem = await answer.json()
            assert (answer.status, problem["code"]) == (503, "newer-version"), problem
            assert answer.headers["Retry-After"]


async def test_a_record_with_a_field_from_later_is_refused_by_name(bridge, manager):
    record = await manager.create(RunSpec(assistant_id="echo", if_not_exists="create"))
    found = await bridge.states.find("run", record.run_id)
    changed = json.dumps({**json.loads(found.value), "colour": "blue"}).encode()
    await bridge.states.update("run", record.run_id, changed, revision=found.revision)
    with pytest.raises(UnreadableRecordError, match=r"RunRecord.*colour.*upgrade this process"):
        await manager.records.find_run(record.run_id)
    assert RunRecord.decode(found.value) == record


async def test_a_worker_leaves_newer_jobs_and_due_runs_in_their_queues(bridge, raw):
    await raw.publish("jetrun.job.echo.run-new", b'{"thread_id": "t"}', headers=NEWER)
    await bridge.jobs.put("echo", "run-old", b'{"thread_id": "t"}')
    jobs = await bridge.jobs.consumer("echo", lease_s=5)
    assert await until_found(jobs, lambda job: job.run_id) == ["run-old"]
    await bridge.timers.set("run", "run-old", at=datetime.now(UTC))
    await raw.publish("jetrun.timer.fired.run.run-new", b"{}", headers=NEWER)
    firings = await bridge.timers.consumer("run", lease_s=5)
    assert await until_found(firings, lambda fired: fired.key) == ["run-old"]
    assert (await raw.stream_info("JETRUN_JOBS")).state.messages == 1
    assert (await raw.stream_info("JETRUN_TIMERS")).state.messages == 1


async def until_found(consumer, name):
    """Return what is handed out, up to the first that is; newer ones come before it."""
    async with asyncio.timeout(10):
        while not (found := await consumer.fetch(4, wait_s=0.5)):
            pass
    names = []
    for each in [*found, *await consumer.fetch(4, wait_s=0.2)]:
        names.append(name(each))
        await each.ack()
    await consumer.close()
    return names


async def test_what_a_timer_was_set_with_says_its_version_when_it_fires(bridge, raw, eventually):
    await bridge.timers.set("run", "run-1", at=datetime.now(UTC))
    await eventually(lambda: has_fired(raw, "run-1"))
    fired = await raw.get_last_msg("JETRUN_TIMERS", "jetrun.timer.fired.run.run-1")
    assert fired.headers[wire.VERSION] == wire.WIRE_VERSION


async def has_fired(raw, key):
    info = await raw.stream_info("JETRUN_TIMERS", subjects_filter=f"jetrun.timer.fired.run.{key}")
    return bool(info.state.subjects)


SINK = ArchiveSettings(fetch_wait_s=0.05, ack_wait_s=1, max_backoff_s=0.1)


@asynccontextmanager
async def sinking(bridge, root):
    stop = asyncio.Event()
    task = asyncio.create_task(Sink(bridge, root, SINK).run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait([task])


async def test_a_sink_stops_before_it_writes_a_run_without_its_newer_event(
    bridge, raw, add_newer_event, tmp_path
):
    await add_newer_event()
    after = {
        wire.EVENT: "note",
        wire.SEQ: "3",
        wire.BYTES: "4",
        wire.CATEGORY: "stream",
        wire.TIME: "2030-01-01T00:00:00.000000Z",
        wire.WRITER: "w",
        wire.VERSION: wire.WIRE_VERSION,
    }
    await raw.publish(f"jetrun.events.{await shard(raw)}.thread-1.run-1", b"{}", headers=after)
    async with sinking(bridge, tmp_path) as sink:
        with pytest.raises(NewerVersionError):
            await asyncio.wait_for(asyncio.shield(sink), 10)
    path = ArchiveLayout(tmp_path).run(RUN)
    lines = path.read_bytes().splitlines() if path.exists() else []
    assert [json.loads(line)["run_seq"] for line in lines] in ([], [1])
    assert not ArchiveLayout(tmp_path).dead_letters.exists()


async def test_newer_checkpoints_claims_and_items_are_refused(bridge, renew):
    saver = JetStreamSaver(bridge.checkpoints)
    config = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    made = {"v": 1, "id": "1", "ts": "", "channel_values": {}, "channel_versions": {}}
    checkpoint = {**made, "versions_seen": {}, "updated_channels": None}
    await saver.aput(config, checkpoint, {}, {})
    await bridge.items.put(("shelf",), "book", {"pages": 3})
    await renew("JETRUN_CHECKPOINTS", "jetrun.ck.>")
    await renew("JETRUN_ITEMS", "jetrun.item.>")
    with pytest.raises(NewerVersionError):
        await saver.aget_tuple(config)
    with pytest.raises(NewerVersionError):
        await bridge.items.find(("shelf",), "book")
    with pytest.raises(NewerVersionError):
        await bridge.items.put(("shelf",), "book", {"pages": 4})
    with pytest.raises(NewerVersionError):
        await bridge.items.search(("shelf",))
    await renew("JETRUN_CHECKPOINTS", "jetrun.claim.>")
    with pytest.raises(NewerVersionError):
        await bridge.checkpoints.claim("t")


async def test_a_sink_does_not_continue_a_file_of_a_newer_version(bridge, tmp_path):
    path = ArchiveLayout(tmp_path).run(RUN)
    path.parent.mkdir(parents=True)
    (birth,) = await bridge.read_after(RUN, 0)
    newer = b'{"version":2,' + encode_line(birth)[1:]
    path.write_bytes(newer)
    await bridge.publish(RUN.run_id, "note", {})
    async with sinking(bridge, tmp_path) as sink:
        with pytest.raises(OSError, match="of version 2"):
            await asyncio.wait_for(asyncio.shield(sink), 10)
    assert path.read_bytes() == newer
