import asyncio
import json
import re
import signal
from pathlib import Path

import pytest
from commands import JETRUN, NO_SETTINGS

ROOT = Path(__file__).parents[2]


async def start_demo(*arguments):
    return await asyncio.create_subprocess_exec(
        JETRUN,
        "demo",
        *map(str, arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=NO_SETTINGS,
    )


async def demo(*arguments):
    process = await start_demo(*arguments)
    async with asyncio.timeout(100):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


def read_lines(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


async def test_the_demo_loses_every_connection_and_no_event(tmp_path):
    status, out, err = await demo("README.md", "--data", tmp_path)

    assert (status, err) == (0, ""), out
    undisturbed = int(re.search(r"undisturbed: (\d+) events", out)[1])
    assert f"all {undisturbed} events arrived once and in order" in out
    assert out.count("cut of our SSE connection after event") == 2
    assert out.count("SIGKILL of nats-server after event") == 1
    assert out.count("SIGKILL of the gateway after event") == 1
    assert out.count("resumed with Last-Event-ID") >= 3

    path = Path(re.search(r"archive: (\S+)", out)[1])
    lines = await asyncio.to_thread(read_lines, path)
    assert path.is_relative_to(tmp_path)
    assert [line["run_seq"] for line in lines] == list(range(1, undisturbed + 1))
    assert re.search(rf"events in all\s+│\s+{undisturbed} ", out)
    assert re.search(r"kills\s+│\s+2 ", out)


async def test_an_interrupted_demo_leaves_no_process(tmp_path, eventually):
    process = await start_demo("README.md", "--data", tmp_path)
    async with asyncio.timeout(60):
        started = ""
        while "started" not in started:
            started = (await process.stdout.readline()).decode()
    pids = [int(pid) for pid in re.findall(r"pid (\d+)", started)]
    assert len(pids) == 4

    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
        await process.communicate()

    assert process.returncode == 1
    await eventually(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()])


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot be read"), (b"", "is empty"), (b"\xff", "is not UTF-8")],
)
async def test_what_is_no_text_is_refused_before_anything_is_started(tmp_path, content, problem):
    path = tmp_path / "document"
    if content is not None:
        path.write_bytes(content)

    status, _, err = await demo(path, "--data", tmp_path / "data")

    assert status == 1
    assert problem in err
    assert not (tmp_path / "data").exists()
