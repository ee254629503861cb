"""The commands that look after the archive, as processes of their own."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from bridge import BridgeSettings, EmbeddedServer, JetStreamBridge, NatsSettings, RunRef, new_event
from store import ArchiveLayout, encode_line

JETRUN = Path(sys.executable).with_name("jetrun")
RUN = RunRef("thread-1", "run-1")


def credentials(server):
    return {"url": server.url, "user": server.user, "password": server.password}


@pytest.fixture
async def archived(server, tmp_path):
    """A run of 22 events in the log and in its file; the file's path."""
    nats = NatsSettings(**credentials(server))
    async with JetStreamBridge(BridgeSettings(nats=nats)) as bridge:
        await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
        await bridge.publish_many(RUN.run_id, [new_event("note", {"n": n}) for n in range(20)])
        await bridge.publish_end(RUN.run_id)
        events = await bridge.read_after(RUN, 0)
    path = ArchiveLayout(tmp_path / "data").run(RUN)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(map(encode_line, events)))
    return path


@pytest.fixture
def jetrun(server, tmp_path):
    """Run a command: ``status, out = await jetrun("verify")``."""

    async def jetrun(*arguments):
        process = await asyncio.create_subprocess_exec(
            JETRUN,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "COLUMNS": "200",
                "JETRUN_NATS__URL": server.url,
                "JETRUN_NATS__USER": server.user,
                "JETRUN_NATS__PASSWORD": server.password.get_secret_value(),
                "JETRUN_DATA": str(tmp_path / "data"),
            },
        )
        async with asyncio.timeout(30):
            out, _ = await process.communicate()
        return process.returncode, out.decode()

    return jetrun


async def test_a_damaged_file_is_found_repaired_and_sound_again(archived, jetrun):
    whole = archived.read_bytes()
    assert (await jetrun("verify"))[0] == 0
    lines = whole.splitlines(keepends=True)
    archived.write_bytes(b"".join([*lines[:5], b"damage\n", *lines[8:12], *lines[11:]]))
    status, out = await jetrun("verify")
    assert status == 3
    assert all(word in out for word in ("damage", "hole", "6-8", "duplicate", "yes", "3 findings"))
    status, out = await jetrun("verify", "--json", "--offline")
    assert status == 3
    assert json.loads(out)["finding_count"] == 3
    status, out = await jetrun("repair", *RUN)
    assert (status, archived.read_bytes()) == (0, whole)
    assert "22 records from the log" in out
    status, out = await jetrun("verify", "--thread", RUN.thread_id)
    assert status == 0
    assert "sound" in out


async def test_a_repair_says_what_is_missing_for_good(archived, jetrun, server):
    lines = archived.read_bytes().splitlines(keepends=True)
    archived.write_bytes(b"".join([lines[0], *lines[2:]]))
    nats = NatsSettings(**credentials(server))
    async with JetStreamBridge(BridgeSettings(nats=nats)) as bridge:
        await bridge.trim(RUN.run_id, keep=5)
    status, out = await jetrun("repair", *RUN)
    assert status == 3
    assert "5 records from the log, 16 from the old file" in out


async def test_a_log_that_does_not_answer_is_no_verdict(archived, jetrun, server):
    assert archived.exists()
    await server.kill()
    status, out = await jetrun("verify", "--thread", RUN.thread_id)
    assert (status, out) == (1, "")
    assert (await jetrun("verify", "--offline"))[0] == 0


async def test_the_log_of_an_embedded_server_is_opened_where_it_lies(tmp_path):
    async with (
        EmbeddedServer(tmp_path / "nats") as own,
        JetStreamBridge(BridgeSettings(nats=NatsSettings(**credentials(own)))) as bridge,
    ):
        await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
    command = [JETRUN, "verify", "--data", tmp_path]
    environment = {name: text for name, text in os.environ.items() if "JETRUN_" not in name}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=environment
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert "1 events are in the log only" in out.decode()


async def test_the_archive_is_asked_and_exported(archived, jetrun, tmp_path):
    assert archived.exists()
    sql = "SELECT event_type, count(*) AS n FROM records GROUP BY 1 ORDER BY 2 DESC, 1"
    status, out = await jetrun("query", sql, "--json")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (
        0,
        [
            {"event_type": "note", "n": 20},
            {"event_type": "end", "n": 1},
            {"event_type": "metadata", "n": 1},
        ],
    )
    status, out = await jetrun("query", sql)
    assert status == 0
    assert "note" in out
    target = tmp_path / "records.parquet"
    status, out = await jetrun("export", "--parquet", target)
    assert (status, target.exists()) == (0, True)
    assert "22 records" in out
    assert (await jetrun("query", "SELECT nothing"))[0] == 1
