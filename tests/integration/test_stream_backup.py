"""Streams that change while a backup is taken: what is restored, and under which sequences."""

import io
from contextlib import asynccontextmanager, contextmanager

import pytest

from bridge import EmbeddedServer, JetStreamBridge, NatsSettings, RunRef, new_event
from bridge.backup.streams import open_streams, snapshot_file

RUN = RunRef("thread-1", "run-1")


class Files:
    """Files in memory; something happens once the snapshot of a stream is complete."""

    def __init__(self, happenings):
        self._happenings = happenings
        self._files = {}

    @asynccontextmanager
    async def create(self, name):
        file = self._files[name] = io.BytesIO()

        async def put(content):
            file.write(content)

        yield put
        if name in self._happenings:
            await self._happenings[name]()

    @contextmanager
    def open(self, name):
        yield io.BytesIO(self._files[name].getvalue())


@pytest.fixture
async def source(settings):
    async with JetStreamBridge(settings.bridge) as bridge:
        await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
        await bridge.publish_many(RUN.run_id, [new_event("note", {"n": n}) for n in range(10)])
        yield bridge


@pytest.fixture
async def elsewhere(settings, tmp_path):
    async with EmbeddedServer(tmp_path / "other-nats") as server:
        nats = NatsSettings(url=server.url, user=server.user, password=server.password)
        yield settings.model_copy(update={"nats": nats})


@pytest.fixture
def moved(settings, elsewhere):
    """Take a backup during which something happens, and restore it: a bridge to the copy."""

    @asynccontextmanager
    async def moved(**happenings):
        files = Files({snapshot_file(f"JETRUN_{key}"): do for key, do in happenings.items()})
        async with open_streams(settings.bridge, restores=False) as backup:
            streams = await backup.take(files)
        async with open_streams(elsewhere.bridge, restores=True) as target:
            for taken in streams:
                await target.restore(taken, files)
        async with JetStreamBridge(elsewhere.bridge) as bridge:
            yield bridge

    return moved


async def test_records_that_are_replaced_meanwhile_keep_their_newest_revision(source, moved):
    first = await source.states.create("thing", "a", b"old")
    gone = await source.states.create("thing", "b", b"old")
    revisions = {}

    async def happen():
        await source.states.create("filler", "x", b"1")  # its sequence is free in the end
        revisions["a"] = await source.states.update("thing", "a", b"new", revision=first)
        found = await source.states.find("filler", "x")
        await source.states.update("filler", "x", b"2", revision=found.revision)
        await source.states.delete("thing", "b", revision=gone)
        revisions["c"] = await source.states.create("thing", "c", b"new")

    async with moved(STATE=happen) as copy:
        for key, revision in revisions.items():
            found = await copy.states.find("thing", key)
            assert (found.value, found.revision) == (b"new", revision)
        assert await copy.states.is_deleted("thing", "b")
        assert await copy.states.keys("filler") == ["x"]
        assert (await copy.state_feed.newest()).seq == (await source.state_feed.newest()).seq


async def test_events_of_the_meantime_have_their_ids_and_their_run_goes_on(source, moved):
    async def happen():
        await source.create("run-2", thread_id="thread-2")
        await source.publish(RUN.run_id, "note", {"n": 10})

    async with moved(EVENTS=happen) as copy:
        assert await copy.read_after(RUN, 0) == await source.read_after(RUN, 0)
        assert await copy.last_sequence() == await source.last_sequence()
        published = await copy.publish(RUN.run_id, "note", {"n": 11})
        assert published == await source.publish(RUN.run_id, "note", {"n": 11})


async def test_a_run_that_is_deleted_meanwhile_does_not_come_back(source, moved):
    async with moved(EVENTS=lambda: source.cleanup(RUN.run_id)) as copy:
        found = await copy._connection.api(
            "$JS.API.STREAM.INFO.JETRUN_EVENTS", {"subjects_filter": ">"}
        )
        assert list(found["state"]["subjects"].values()) == [1]  # the marker of the deletion
        assert await copy.last_sequence() == await source.last_sequence()


async def test_jobs_timers_and_secrets_are_taken_too(source, moved):
    await source.jobs.put("echo", "run-1", b'{"thread_id": "thread-1"}')
    await source.secrets.create("api-key", "key-1", b"digest")
    async with moved() as copy:
        jobs = await copy.jobs.consumer("echo", lease_s=5)
        (job,) = await jobs.fetch(1, wait_s=5)
        assert (job.run_id, job.payload) == ("run-1", b'{"thread_id": "thread-1"}')
        await jobs.close()
        assert (await copy.secrets.find("api-key", "key-1")).value == b"digest"
