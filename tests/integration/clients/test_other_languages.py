"""The programs that the page on other languages shows do what it says."""

import asyncio
import json
import os
import sys

import pytest
from gateway_process import GatewayProcess
from js_client import NODE
from page_commands import blocks_of, follow_page

from runs import RunSpec

PAGE = "docs/other-languages.md"
EVENTS = 200
WITHIN_S = 90


@pytest.fixture
def program(tmp_path):
    """Write the page's program in a language to a file, and return its path."""

    def write(language):
        (text,) = blocks_of(PAGE, language)
        path = tmp_path / f"program.{'mjs' if language == 'js' else 'py'}"
        path.write_text(text)
        return path

    return write


@pytest.mark.usefixtures("worker")
async def test_the_commands_of_curl_work_line_by_line(gateway, tmp_path):
    answers = await follow_page(PAGE, tmp_path, dict(os.environ), url=gateway.url)
    for step, answer in answers.items():
        if step.answer is not None:
            # Above the answer stands what the commands before it printed.
            assert json.loads(answer.splitlines()[-1]) == json.loads(step.answer), step.commands
    followed = (tmp_path / "followed.txt").read_text()
    assert "event: scan" in followed
    assert followed.endswith("data: null\n\n")


async def test_node_follows_a_run_through_the_death_of_its_gateway(
    settings, start_gateway, program
):
    feeding = await start_gateway()
    run = await feeding.facade.create_background(RunSpec(assistant_id="echo"))
    async with GatewayProcess(settings) as killable, asyncio.timeout(WITHIN_S):
        url = f"{killable.url}/threads/{run.thread_id}/runs/{run.run_id}"
        following = await asyncio.create_subprocess_exec(
            NODE, program("js"), url, stdout=asyncio.subprocess.PIPE
        )
        lines = []
        for n in range(EVENTS):
            await feeding.bridge.publish(run.run_id, "step", n)
            if n == EVENTS // 2:
                lines += [await following.stdout.readline() for _ in range(n)]
                await killable.kill()
                await killable.start()
        await feeding.bridge.publish_terminal(run.run_id, "end", None)
        lines += (await following.stdout.read()).splitlines()
    events = [line.decode().split() for line in lines]
    assert events[0][1] == "metadata"
    assert [int(data) for _, name, data in events[1:] if name == "step"] == list(range(EVENTS))
    assert await following.wait() == 0


async def test_node_is_told_what_does_not_exist(gateway, program):
    following = await asyncio.create_subprocess_exec(
        NODE, program("js"), f"{gateway.url}/threads/a/runs/b", stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(WITHIN_S):
        _, told = await following.communicate()
    assert "run-not-found" in told.decode()
    assert following.returncode != 0


@pytest.mark.usefixtures("worker")
async def test_the_python_program_follows_and_awaits(gateway, program):
    process = await asyncio.create_subprocess_exec(
        sys.executable, program("python"), gateway.url, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(WITHIN_S):
        out, _ = await process.communicate()
    printed = out.decode().splitlines()
    assert [line.split()[1] for line in printed].count("scan") == 1
    assert printed[-1] == "result {'events': 3, 'delay_s': 0.5}"
