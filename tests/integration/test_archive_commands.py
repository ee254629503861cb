"""The commands that look after the archive, as processes of their own."""

import json
from functools import partial

import pytest
from commands import run_command

from bridge import BridgeSettings, EmbeddedServer, JetStreamBridge, NatsSettings, RunRef, new_event
from store import ArchiveLayout, encode_line

RUN = RunRef("thread-1", "run-1")


@pytest.fixture
async def archived(settings):
    """A run of 22 events in the log and in its file; the file's path."""
    async with JetStreamBridge(settings.bridge) as bridge:
        await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
        await bridge.publish_many(RUN.run_id, [new_event("note", {"n": n}) for n in range(20)])
        await bridge.publish_end(RUN.run_id)
        events = await bridge.read_after(RUN, 0)
    path = ArchiveLayout(settings.data).run(RUN)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(map(encode_line, events)))
    return path


@pytest.fixture
def jetrun(settings):
    """Run a command: ``status, out, err = await jetrun("verify")``."""
    return partial(run_command, settings)


async def test_a_damaged_file_is_found_repaired_and_sound_again(archived, jetrun):
    whole = archived.read_bytes()
    assert (await jetrun("verify"))[0] == 0
    lines = whole.splitlines(keepends=True)
    archived.write_bytes(b"".join([*lines[:5], b"damage\n", *lines[8:12], *lines[11:]]))
    status, out, _ = await jetrun("verify")
    assert status == 3
    assert all(word in out for word in ("damage", "hole", "6-8", "duplicate", "yes", "3 findings"))
    status, out, _ = await jetrun("verify", "--json", "--offline")
    assert status == 3
    assert json.loads(out)["finding_count"] == 3
    status, out, _ = await jetrun("repair", *RUN)
    assert (status, archived.read_bytes()) == (0, whole)
    assert "22 records from the log" in out
    status, out, _ = await jetrun("verify", "--thread", RUN.thread_id)
    assert status == 0
    assert "sound" in out


async def test_a_repair_says_what_is_missing_for_good(archived, jetrun, settings):
    lines = archived.read_bytes().splitlines(keepends=True)
    archived.write_bytes(b"".join([lines[0], *lines[2:]]))
    async with JetStreamBridge(settings.bridge) as bridge:
        await bridge.trim(RUN.run_id, keep=5)
    status, out, _ = await jetrun("repair", *RUN)
    assert status == 3
    assert "5 records from the log, 16 from the old file" in out


async def test_a_log_that_does_not_answer_is_no_verdict(archived, jetrun, server):
    assert archived.exists()
    await server.kill()
    status, out, _ = await jetrun("verify", "--thread", RUN.thread_id)
    assert (status, out) == (1, "")
    assert (await jetrun("verify", "--offline"))[0] == 0


async def test_the_log_of_an_embedded_server_is_opened_where_it_lies(tmp_path):
    async with EmbeddedServer(tmp_path / "nats") as own:
        nats = NatsSettings(url=own.url, user=own.user, password=own.password)
        async with JetStreamBridge(BridgeSettings(nats=nats)) as bridge:
            await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
    status, out, _ = await run_command(None, "verify", "--data", tmp_path)
    assert status == 0
    assert "1 events are in the log only" in out


async def test_the_archive_is_asked_and_exported(archived, jetrun, tmp_path):
    assert archived.exists()
    sql = "SELECT event_type, count(*) AS n FROM records GROUP BY 1 ORDER BY 2 DESC, 1"
    status, out, _ = await jetrun("query", sql, "--json")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (
        0,
        [
            {"event_type": "note", "n": 20},
            {"event_type": "end", "n": 1},
            {"event_type": "metadata", "n": 1},
        ],
    )
    status, out, _ = await jetrun("query", sql)
    assert status == 0
    assert "note" in out
    target = tmp_path / "records.parquet"
    status, out, _ = await jetrun("export", "--parquet", target)
    assert (status, target.exists()) == (0, True)
    assert "22 records" in out
    assert (await jetrun("query", "SELECT nothing"))[0] == 1
