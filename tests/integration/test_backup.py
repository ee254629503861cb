"""A backup of a system under load, restored on another server and in another directory."""

import asyncio
import json
from contextlib import asynccontextmanager

import nats
import pytest
from commands import run_command, running_command
from roles import running_role

from api.backup.errors import (
    BackupTargetError,
    DamagedBackupError,
    NewerBackupError,
    RestoreInterruptedError,
)
from api.backup.restoring import BackupSource, restore_backup
from api.backup.taking import take_backup
from api.settings import Role
from bridge import (
    ConsumerSpec,
    EmbeddedServer,
    JetStreamBridge,
    NatsSettings,
    RunRef,
    TopologyDriftError,
    new_event,
    new_id,
)
from bridge.topology import streams
from runs import AssistantCatalog, RunManager, RunSpec, RunStatus, WorkerSettings
from runs.langgraph import JetStreamSaver
from store import ArchiveColdTier, ArchiveLayout, ArchiveReader, encode_line
from store.archive_copy import copy_archive
from store.mark import encode_mark
from store.run_forms import adopt_draft, write_draft


@pytest.fixture
def settings(settings):
    """Workers that are found to be gone within moments."""
    worker = WorkerSettings(lease_s=3, probe_s=0.5)
    return settings.model_copy(update={"worker": worker})


@pytest.fixture
async def elsewhere(settings, tmp_path):
    """Settings of another server and another directory, both empty."""
    async with EmbeddedServer(tmp_path / "other-nats") as server:
        nats = NatsSettings(url=server.url, user=server.user, password=server.password)
        yield settings.model_copy(update={"nats": nats, "data": tmp_path / "other-data"})


@pytest.fixture
async def source(settings):
    async with JetStreamBridge(settings.bridge) as bridge:
        yield bridge


@pytest.fixture
async def sound(source, settings, tmp_path):
    """A small backup: its directory."""
    run = RunRef("thread-1", "run-1")
    await source.create(run.run_id, thread_id=run.thread_id)
    await source.publish_many(run.run_id, [new_event("note", {"n": n}) for n in range(20)])
    path = ArchiveLayout(settings.data).run(run)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(map(encode_line, await source.read_after(run, 0))))
    manifest = await take_backup(settings, tmp_path / "backup", "jetrun", nobody)
    await source.publish(run.run_id, "note", {"n": "too late"})
    assert manifest.log_seq == 21
    return tmp_path / "backup"


def nobody(*_):
    """Be told of progress."""


async def restore(settings, root):
    """Restore in this process."""
    await restore_backup(settings, BackupSource(root), nobody)


class Load:
    """Publishes runs one after another, by many writers, and remembers what was acknowledged."""

    def __init__(self, bridge):
        self._bridge = bridge
        self.ended = {}
        self.records = {}
        self._tasks = []

    @asynccontextmanager
    async def going_on(self, writers):
        tasks = [asyncio.create_task(self._write(number)) for number in range(writers)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, number):
        revision = 0
        for count in range(10**6):
            run_id = new_id()
            await self._bridge.create(run_id, thread_id=f"thread-{number}")
            for _ in range(3):
                events = [new_event("note", {"text": "x" * 300}) for _ in range(50)]
                await self._bridge.publish_many(run_id, events)
            await self._bridge.publish_terminal(run_id, "end", {"n": count})
            self.ended[run_id] = f"thread-{number}"
            value = str(count).encode() * 400
            key = f"key-{number}"
            if revision:
                revision = await self._bridge.states.update("load", key, value, revision=revision)
            else:
                revision = await self._bridge.states.create("load", key, value)
            self.records[key] = (count, revision)


@pytest.fixture
async def loaded(settings, source, tmp_path, chaos_factor, eventually):
    """A backup that was taken under load: its directory, what was there, and what had ended."""
    load = Load(source)
    manager = RunManager(source, AssistantCatalog())
    started = await start_something_of_everything(source, manager)
    async with (
        running_role(Role.SINK, settings),
        load.going_on(4),
        running_role(Role.WORKER, settings),
    ):
        await eventually(lambda: is_running(manager, started["running"]), within_s=30)
        enough = 20 * chaos_factor
        await eventually(lambda: len(load.ended) >= enough, within_s=60 * chaos_factor)
        before, records = dict(load.ended), dict(load.records)
        outcome = await run_command(settings, "backup", tmp_path / "backup", "--json")
        assert outcome.status == 0, outcome.err
        await eventually(lambda: len(load.ended) > len(before), within_s=30)
    return tmp_path / "backup", started, before, records


@pytest.mark.timeout(300)
async def test_a_loaded_system_goes_on_elsewhere_with_all_that_was_acknowledged(
    loaded, settings, source, elsewhere, eventually
):
    backup, started, before, records = loaded
    outcome = await run_command(elsewhere, "restore", backup)
    assert outcome.status == 0, outcome.err
    verified = await run_command(elsewhere, "verify")
    assert (verified.status, "sound" in verified.out) == (0, True), verified.out
    cold = ArchiveColdTier(elsewhere.data)
    async with JetStreamBridge(elsewhere.bridge, cold=cold) as restored:
        for run_id, thread_id in before.items():
            await same_run(source, restored, RunRef(thread_id, run_id), settings, elsewhere)
        for key, (count, revision) in records.items():
            found = await restored.states.find("load", key)
            assert found.revision >= revision
            assert int(found.value[: len(found.value) // 400]) >= count
        async with running_role(Role.SINK, elsewhere), running_role(Role.WORKER, elsewhere):
            await everything_goes_on(restored, started, eventually)
    verified = await run_command(elsewhere, "verify")
    assert verified.status == 0, verified.out


async def start_something_of_everything(bridge, manager):
    """A run for each state that one can be in, and one thing of each other kind."""

    async def create(**spec):
        return await manager.create(RunSpec(assistant_id="echo", if_not_exists="create", **spec))

    await manager.create_thread("busy")
    long = {"events": 1000, "delay_s": 1}
    running = await create(thread_id="busy", input=long)
    queued = await create(thread_id="busy", input={"hello": "queued"})
    delayed = await create(thread_id="late", input={"hello": "late"}, after_seconds=12)
    saver = JetStreamSaver(bridge.checkpoints)
    config = {"configurable": {"thread_id": "busy", "checkpoint_ns": ""}}
    made = {"v": 1, "id": "1", "ts": "", "channel_values": {}, "channel_versions": {}}
    await saver.aput(config, {**made, "versions_seen": {}, "updated_channels": None}, {}, {})
    await bridge.items.put(("shelf",), "book", {"pages": 3}, ttl_s=3600)
    async with bridge.open_consumer(ConsumerSpec.checked("billing")) as consumer:
        (first,) = await consumer.fetch(1, wait_s=5)
        await first.ack()
    return {"running": running, "queued": queued, "delayed": delayed, "config": config}


async def is_running(manager, run):
    found = await manager.records.find_run(run.run_id)
    return found.record.status is RunStatus.RUNNING


async def same_run(source, restored, run, settings, elsewhere):
    """Compare a run that had ended before the backup began, log and archive together."""
    there = await restored.status(run.run_id)
    assert there == await source.status(run.run_id)
    before = [line.seq for line in ArchiveReader(settings.data).read_run(run)]
    after = [line.seq for line in ArchiveReader(elsewhere.data).read_run(run)]
    assert after == before[: len(after)]
    if len(after) < len(before):  # the sink had not come so far
        assert (await restored.read_after(run, len(after)))[0].run_seq == len(after) + 1


async def everything_goes_on(restored, started, eventually):
    manager = RunManager(restored, AssistantCatalog())

    async def status_of(name):
        found = await manager.records.find_run(started[name].run_id)
        return found.record.status

    # What a worker held is lost with it, and its thread goes on with the next run.
    await eventually(lambda: is_status(status_of("running"), RunStatus.ERROR), within_s=60)
    await eventually(lambda: is_status(status_of("queued"), RunStatus.SUCCESS), within_s=30)
    await eventually(lambda: is_status(status_of("delayed"), RunStatus.SUCCESS), within_s=60)
    fresh = await manager.create(RunSpec(assistant_id="echo", thread_id="busy", input={"a": 1}))
    await eventually(
        lambda: is_status(run_status(manager, fresh.run_id), RunStatus.SUCCESS), within_s=30
    )
    assert (await restored.items.find(("shelf",), "book")).value == {"pages": 3}
    assert await JetStreamSaver(restored.checkpoints).aget_tuple(started["config"]) is not None
    billing = await restored.get_consumer("billing")
    assert billing.acknowledged_seq >= 1


async def run_status(manager, run_id):
    return (await manager.records.find_run(run_id)).record.status


async def is_status(found, wanted):
    return await found is wanted


DAMAGES = {
    "a byte of a snapshot": lambda root: flip(root / "streams" / "JETRUN_EVENTS.snapshot"),
    "a byte of the archive": lambda root: flip(next(root.rglob("run-1.jsonl"))),
    "a file that is gone": lambda root: (root / "streams" / "JETRUN_STATE.later").unlink(),
    "a cut index": lambda root: cut(root / "files.jsonl"),
    "a cut manifest": lambda root: cut(root / "manifest.json"),
    "no manifest": lambda root: (root / "manifest.json").unlink(),
}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


async def nothing_was_touched(settings):
    layout = ArchiveLayout(settings.data)
    async with JetStreamBridge(settings.bridge) as bridge:
        assert await bridge.last_sequence() == 0
    return not layout.threads.exists() and not layout.mark.exists()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
async def test_a_damaged_backup_is_refused_before_anything_is_changed(sound, elsewhere, damage):
    damage(sound)
    with pytest.raises(DamagedBackupError, match="nothing was restored"):
        await restore(elsewhere, sound)
    assert await nothing_was_touched(elsewhere)


async def test_every_stream_is_in_a_backup_and_secrets_keep_their_revisions(
    source, settings, elsewhere, tmp_path
):
    revision = await source.secrets.create("api-key", "key-1", b"{}")
    revision = await source.secrets.update("api-key", "key-1", b"{}", revision=revision)
    manifest = await take_backup(settings, tmp_path / "backup", "jetrun", nobody)
    names = {each["name"] for each in streams(settings.bridge)}
    assert {taken.name for taken in manifest.streams} == names
    await restore(elsewhere, tmp_path / "backup")
    async with JetStreamBridge(elsewhere.bridge) as restored:
        assert (await restored.secrets.find("api-key", "key-1")).revision == revision
        await restored.secrets.delete("api-key", "key-1", revision=revision)


async def test_a_backup_of_a_newer_version_is_refused_by_name(sound, elsewhere):
    manifest = json.loads((sound / "manifest.json").read_text())
    (sound / "manifest.json").write_text(json.dumps({**manifest, "version": 2}))
    with pytest.raises(NewerBackupError, match="upgrade jetrun"):
        await restore(elsewhere, sound)
    assert await nothing_was_touched(elsewhere)


async def test_targets_that_hold_something_are_left_alone(sound, settings, elsewhere, tmp_path):
    with pytest.raises(BackupTargetError, match="name one that is empty"):
        await take_backup(settings, sound, "jetrun", nobody)
    with pytest.raises(BackupTargetError, match="the stream JETRUN_"):
        await restore(settings.model_copy(update={"data": tmp_path / "empty"}), sound)
    with pytest.raises(BackupTargetError, match="threads"):
        await restore(elsewhere.model_copy(update={"data": settings.data}), sound)
    other = elsewhere.log.model_copy(update={"prefix": "other"})
    with pytest.raises(TopologyDriftError, match="OTHER_EVENTS"):
        await restore(elsewhere.model_copy(update={"log": other}), sound)
    assert await nothing_was_touched(elsewhere)


async def test_a_backup_that_was_killed_is_none(source, settings, elsewhere, tmp_path, eventually):
    target = tmp_path / "backup"
    await source.create("run-1", thread_id="thread-1")
    for _ in range(40):
        await source.publish_many("run-1", [new_event("note", {"x": "y" * 1000})] * 500)
    async with running_command(settings, "backup", target):
        # Its first file: on a quiet machine it is done a moment after its first stream.
        await eventually(lambda: any(target.rglob("*")), within_s=60)
    assert not (target / "manifest.json").exists()
    outcome = await run_command(elsewhere, "restore", target)
    assert (outcome.status, "no backup" in outcome.err) == (1, True)
    assert await nothing_was_touched(elsewhere)


async def test_a_restore_that_fails_is_taken_back(sound, elsewhere):
    async with plain_stream(elsewhere, "IN_THE_WAY", "jetrun.state.>"):
        with pytest.raises(RestoreInterruptedError, match="everything was taken back"):
            await restore(elsewhere, sound)
    assert not list(elsewhere.data.glob("*/"))
    await restore(elsewhere, sound)
    assert ArchiveLayout(elsewhere.data).has(RunRef("thread-1", "run-1"))


async def test_a_restore_that_is_interrupted_while_it_copies_leaves_nothing(
    source, settings, elsewhere, tmp_path, eventually
):
    layout = ArchiveLayout(settings.data)
    await source.create("run-0", thread_id="thread-1")
    (line,) = map(encode_line, await source.read_after(RunRef("thread-1", "run-0"), 0))
    layout.run(RunRef("thread-1", "run-0")).parent.mkdir(parents=True)
    for number in range(2000):
        layout.run(RunRef("thread-1", f"run-{number}")).write_bytes(line)
    await take_backup(settings, tmp_path / "backup", "jetrun", nobody)
    restoring = asyncio.create_task(restore(elsewhere, tmp_path / "backup"))
    draft = elsewhere.data / "restoring"
    # So many that more come while they are removed.
    await eventually(lambda: len(list(draft.rglob("*.jsonl"))) > 500, within_s=60)
    restoring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await restoring
    assert not draft.exists()
    await restore(elsewhere, tmp_path / "backup")
    assert ArchiveLayout(elsewhere.data).has(RunRef("thread-1", "run-1999"))


@asynccontextmanager
async def plain_stream(settings, name, subject):
    """A stream that somebody else has on the server, for the length of a context."""
    given = settings.nats
    password = given.password.get_secret_value()
    client = await nats.connect(given.url, user=given.user, password=password)
    try:
        await client.jetstream().add_stream(name=name, subjects=[subject])
        yield
        await client.jetstream().delete_stream(name)
    finally:
        await client.close()


async def test_events_that_the_archive_has_and_the_backup_of_the_log_not_are_left_out(
    source, settings
):
    run = RunRef("thread-1", "run-1")
    await source.create(run.run_id, thread_id=run.thread_id)
    await source.publish(run.run_id, "note", {"n": 1})
    await source.publish_end(run.run_id)
    events = await source.read_after(run, 0)
    layout = ArchiveLayout(settings.data)
    layout.run(run).parent.mkdir(parents=True)
    layout.run(run).write_bytes(b"".join(map(encode_line, events)) + b"half a li")
    layout.mark.write_bytes(encode_mark(3))
    for up_to in (0, 1, 2, 3):
        copied = {file.name: b"".join(file.pieces) for file in copy_archive(layout, up_to)}
        assert copied.pop("archive.json") == encode_mark(up_to)
        assert b"".join(copied.values()) == b"".join(map(encode_line, events[:up_to]))
    # What a sink does whose upkeep finds the run quiet.
    layout.run(run).write_bytes(b"".join(map(encode_line, events)))
    assert adopt_draft(layout, run, write_draft(layout, run, lambda: True))
    assert {file.name for file in copy_archive(layout, 3)} >= {
        "threads/thread-1/runs/run-1.jsonl.zst"
    }
    copied = {file.name: b"".join(file.pieces) for file in copy_archive(layout, 2)}
    assert copied["threads/thread-1/runs/run-1.jsonl"] == b"".join(map(encode_line, events[:2]))
