"""A worker is killed in the middle of a graph; another one goes on where it stopped."""

import asyncio
import os
import signal
from collections import Counter

import pytest
from graph_stack import with_graphs
from langgraph_sdk import get_client
from roles import running_role

from api.settings import Role

pytestmark = pytest.mark.chaos

STEPS = 6


@pytest.fixture
def settings(settings):
    return with_graphs(settings, lease_s=1, probe_s=0.3, fetch_wait_s=0.5)


@pytest.fixture
async def client(gateway):
    async with get_client(url=gateway.url, api_key=None) as opened:
        yield opened


@pytest.mark.timeout(240 * int(os.environ.get("CHAOS_FACTOR", "1")))
async def test_a_run_goes_on_at_its_last_checkpoint_and_its_stream_tells_of_it(
    client, settings, tmp_path, chaos_factor
):
    for number in range(chaos_factor):
        async with running_role(Role.WORKER, settings), running_role(Role.WORKER, settings):
            await check_one_kill(client, str(tmp_path / f"done-{number}"))


async def check_one_kill(client, file):
    thread_id = (await client.threads.create())["thread_id"]
    given = {"steps": STEPS, "step_s": 0.3, "file": file}
    stream = client.runs.stream(
        thread_id, "slow", input=given, stream_mode=["custom", "values"], durability="sync"
    )
    attempts, steps, killed = [], [], None
    async with asyncio.timeout(90):
        async for part in stream:
            if part.event == "metadata":
                attempts.append(part.data["attempt"])
            if part.event == "custom":
                steps.append(part.data["step"])
                if steps[-1] == STEPS // 2 and killed is None:
                    killed = part.data["pid"]
                    os.kill(killed, signal.SIGKILL)
            if part.event == "values":
                final = part.data
    assert attempts == [1, 2]
    # The step that was under way is done again, and nothing before it.
    middle = STEPS // 2
    assert steps == [*range(1, middle + 1), *range(middle, STEPS + 1)]
    assert final["done"] == list(range(1, STEPS + 1))
    assert [pid == killed for pid in final["pids"]] == [True] * (middle - 1) + [False] * (
        STEPS - middle + 1
    )
    with open(file) as lines:  # noqa: ASYNC230, PTH123 - a few lines, after everything
        counts = Counter(int(line.split()[0]) for line in lines)
    assert counts == {number: 2 if number == middle else 1 for number in range(1, STEPS + 1)}
    assert (await client.threads.get_state(thread_id))["values"] == final
    history = await client.threads.get_history(thread_id, limit=50)
    assert len({each["metadata"]["run_id"] for each in history}) == 1
