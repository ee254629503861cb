"""A deleted thread is left in no copy: in no form of its files, nor in what lies beside them."""

import asyncio
import base64
import os
import time
from contextlib import asynccontextmanager

import nats
import pytest
import zstandard

from bridge import BridgeSettings, JetStreamBridge, NatsSettings, RunRef, Terminal, new_event
from bridge.subjects import Subjects
from runs import AssistantCatalog, RunManager, RunNotFoundError, RunSettings, RunsFacade, RunSpec
from store import ArchiveColdTier, ArchiveLayout, ArchiveSettings, Repairer
from store.sink import Sink

SECRET = "the-secret-of-the-thread"
NO_JSON = b"{" + SECRET.encode()
SETTINGS = ArchiveSettings(
    fetch_wait_s=0.05,
    standby_poll_s=0.01,
    status_interval_s=0.05,
    compress_min_bytes=1,
    compress_after_s=60,
    upkeep_interval_s=0.05,
)


@pytest.fixture
def layout(tmp_path):
    return ArchiveLayout(tmp_path / "data")


@pytest.fixture
async def bridge(server, layout):
    address = NatsSettings(url=server.url, user=server.user, password=server.password)
    cold = ArchiveColdTier(layout.root)
    async with JetStreamBridge(BridgeSettings(nats=address), cold=cold) as opened:
        yield opened


@pytest.fixture
def facade(bridge):
    manager = RunManager(bridge, AssistantCatalog(), RunSettings(delete_wait_s=0.2))
    return RunsFacade(manager, bridge)


@pytest.fixture
def sinking(bridge, layout):
    @asynccontextmanager
    async def sinking():
        stop = asyncio.Event()
        running = asyncio.create_task(Sink(bridge, layout.root, SETTINGS).run(stop))
        try:
            yield
        finally:
            stop.set()
            await running

    return sinking


def copies(root):
    """The files below a directory that hold the secret, as it is or as a dead letter has it."""
    needles = [SECRET.encode(), base64.b64encode(NO_JSON)]
    return {
        path.name
        for path in root.rglob("*")
        if path.is_file() and any(needle in content_of(path) for needle in needles)
    }


def content_of(path):
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # it was erased between the two looks
        return b""
    if path.suffix != ".zst":
        return content
    return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(content)


async def ended_run(bridge, facade, thread_id):
    run = await facade.create_background(
        RunSpec(thread_id=thread_id, assistant_id="echo", input={"text": SECRET})
    )
    await bridge.publish_many(run.run_id, [new_event("note", {"text": SECRET})] * 200)
    data = {"status": "success", "outputs": None, "error": None}
    await bridge.publish_terminal(run.run_id, Terminal.ENDED, data)
    await facade.settle(thread_id, run.run_id)
    return RunRef(thread_id, run.run_id)


async def publish_what_is_no_json(server, bridge, run):
    """Store an event that becomes a dead letter of the archive, as a foreign publisher may."""
    newest = (await bridge.read_after(run, 0))[-1]
    connection = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )
    headers = {
        "Run-Event": "note",
        "Run-Seq": str(newest.run_seq + 1),
        "Run-Bytes": "1",
        "Run-Category": "stream",
        "Run-Time": "2030-01-02T03:04:05Z",
        "Run-Writer": "elsewhere",
        "Run-Version": "1",
    }
    await connection.jetstream().publish(Subjects().event(run), NO_JSON, headers=headers)
    await connection.close()


async def test_a_deleted_thread_leaves_no_copy_of_what_it_held(
    server, bridge, facade, layout, sinking, eventually
):
    thread_id = (await facade.create_thread()).thread_id
    other_id = (await facade.create_thread()).thread_id
    compressed, repaired, spoilt = [await ended_run(bridge, facade, thread_id) for _ in range(3)]
    kept = await ended_run(bridge, facade, other_id)
    for run in (spoilt, kept):
        await publish_what_is_no_json(server, bridge, run)
    async with sinking():
        await eventually(lambda: layout.dead_letters.exists() and layout.has(kept), within_s=20)
        await eventually(lambda: is_archived(bridge), within_s=20)
    await Repairer(layout, bridge).repair(repaired)
    long_ago = time.time() - 3600
    os.utime(layout.run(compressed), (long_ago, long_ago))
    for run in (compressed, repaired):  # it leaves the log, but for its end
        await bridge.trim(run.run_id, keep=1)
    async with sinking():
        await eventually(lambda: layout.compressed(compressed).exists(), within_s=20)
        found = copies(layout.root)
        assert {path.name for path in (layout.compressed(compressed), layout.dead_letters)} < found
        assert layout.run(repaired).with_suffix(".old-1").name in found
        assert await facade.delete_thread(thread_id)
        left = {layout.run(kept).name, layout.dead_letters.name}
        await eventually(lambda: copies(layout.root) == left, within_s=20)
        letters = layout.dead_letters.read_text().splitlines()
        assert [kept.run_id in letter for letter in letters] == [True]
    for run in (compressed, repaired, spoilt):
        with pytest.raises(RunNotFoundError):
            await facade.get_run(*run)


async def is_archived(bridge):
    return (await bridge.get_consumer("sink")).is_caught_up
