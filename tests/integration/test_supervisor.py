import asyncio
import os
import signal
import sys
import time

import pytest

from api import supervisor
from api.supervisor import ChildSpec, Supervisor

RECORD_END = (
    "trap 'echo {name} >> {log}; exit 0' TERM; echo ready >> {log}; while :; do sleep 0.01; done"
)


def shell(name, script, **options):
    return ChildSpec(name, ("/bin/sh", "-c", script), os.environ, **options)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
async def children():
    async with Supervisor() as running:
        yield running


async def test_a_child_that_dies_is_started_again_with_growing_pauses(children, eventually, caplog):
    child = await children.start(shell("short", "exit 3"))

    await eventually(lambda: child.starts >= 4)

    deaths = [record for record in caplog.records if record.message == "child.died"]
    assert [record.pause_s for record in deaths[:3]] == [0.1, 0.2, 0.4]
    assert {record.status for record in deaths} == {3}


async def test_the_pause_has_a_bound_and_begins_anew_after_a_healthy_life(
    children, eventually, caplog, monkeypatch
):
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(supervisor, "MAX_PAUSE_S", 0.02)
    monkeypatch.setattr(supervisor, "HEALTHY_AFTER_S", 0.5)

    def pauses():
        return [each.pause_s for each in caplog.records if each.message == "child.died"]

    await children.start(shell("short", "exit 1"))
    await eventually(lambda: len(pauses()) >= 5)
    assert pauses()[:5] == [0.01, 0.02, 0.02, 0.02, 0.02]
    await children.stop()
    caplog.clear()

    await children.start(shell("long", "sleep 0.6"))
    await eventually(lambda: len(pauses()) >= 2)
    assert pauses()[:2] == [0.01, 0.01]


async def test_a_killed_child_gets_a_new_process(children, eventually):
    child = await children.start(shell("long", "exec sleep 60"))
    first = child.pid

    child.kill()

    await eventually(lambda: child.pid not in {None, first})


async def test_children_stop_in_the_reverse_order_of_their_start(children, eventually, tmp_path):
    log = tmp_path / "log"
    for name in ("first", "second"):
        await children.start(shell(name, RECORD_END.format(name=name, log=log)))
    await eventually(lambda: log.exists() and log.read_text() == "ready\nready\n")

    await children.stop()

    assert log.read_text() == "ready\nready\nsecond\nfirst\n"


async def test_a_child_that_ignores_sigterm_is_killed_after_the_grace(
    children, eventually, tmp_path
):
    ready = tmp_path / "ready"
    script = f"trap '' TERM; : > {ready}; while :; do sleep 0.05; done"
    child = await children.start(shell("stubborn", script, stop_grace_s=0.2))
    await eventually(ready.exists)
    pid, began = child.pid, time.monotonic()

    await children.stop()

    assert not is_alive(pid)
    assert time.monotonic() - began < 5


async def test_a_stopped_child_is_not_started_again(children, eventually):
    child = await children.start(shell("short", "exit 0"))
    await eventually(lambda: child.starts >= 2)

    await children.stop()
    assert child.pid is None
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "keep short"]


async def test_a_program_that_does_not_exist_dies_like_any_other(children, eventually):
    child = await children.start(ChildSpec("absent", ("/nonexistent",), os.environ))

    await eventually(lambda: child.starts >= 2)


async def test_the_output_of_a_child_goes_to_its_log_file(children, eventually, tmp_path):
    log = tmp_path / "child.log"
    await children.start(shell("speaking", "echo out; echo err >&2; exec sleep 60", log_path=log))

    await eventually(lambda: log.read_text() == "out\nerr\n")


async def test_no_child_outlives_a_supervisor_that_was_killed(tmp_path, eventually):
    pids = tmp_path / "pids"
    script = f"""
import asyncio, os
from api.supervisor import ChildSpec, Supervisor
async def main():
    async with Supervisor() as children:
        spec = ChildSpec("child", ("/bin/sh", "-c", "echo $$ >> {pids}; exec sleep 60"), os.environ)
        await children.start(spec)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    try:
        await eventually(lambda: pids.exists() and pids.read_text().endswith("\n"), within_s=20)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()

    pid = int(pids.read_text())
    await eventually(lambda: not is_alive(pid))
