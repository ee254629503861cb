"""SIGKILL of gateway, worker, sink and NATS at one moment: all that clients had is there again."""

import asyncio

import pytest
from gateway_process import GatewayProcess
from graph_stack import with_graphs
from langgraph_sdk import get_client

from api.settings import Role

pytestmark = pytest.mark.timeout(240)

STEPS = 8
YEARLY = "0 0 1 1 *"
SAID = {"messages": [{"role": "user", "content": "add 1 2"}]}


@pytest.fixture
def settings(settings):
    return with_graphs(settings, lease_s=2, probe_s=0.3, fetch_wait_s=0.5)


@pytest.fixture
async def api(settings):
    async with GatewayProcess(settings) as process:
        yield process


@pytest.fixture
async def client(api):
    async with get_client(url=api.url, api_key=None) as opened:
        yield opened


@pytest.fixture
async def kill_everything(api, client, server, start_role):
    """Kill all that runs, start it again, and wait until a run was executed."""
    roles = (Role.WORKER, Role.SINK)
    running = [await start_role(role) for role in roles]

    async def kill_everything():
        for process in running:
            process.kill()
        await asyncio.gather(api.kill(), server.kill(), *(each.wait() for each in running))
        await server.restart()
        await api.start()
        running[:] = [await start_role(role) for role in roles]
        await client.runs.wait(None, "echo", input={"n": 0})

    return kill_everything


async def fill(client):
    """Make something of everything that is kept; return the ids of its threads."""
    talked = await client.threads.create(metadata={"topic": "tests"})
    for assistant, given in (("chat", SAID), ("echo", {"events": 20, "values": {"n": 1}})):
        await client.runs.wait(talked["thread_id"], assistant, input=given)
    asked = await client.threads.create()
    await client.runs.wait(asked["thread_id"], "approval", input={"log": []})
    failed = await client.threads.create()
    await client.runs.wait(failed["thread_id"], "failing", input={"log": []}, raise_error=False)
    await client.threads.copy(talked["thread_id"])
    made = await client.assistants.create("echo", name="mine", config={"tags": ["a"]})
    await client.assistants.update(made["assistant_id"], name="ours")
    await client.store.put_item(["docs", "a"], "1", {"n": 1})
    await client.crons.create("echo", schedule=YEARLY, input={"n": 1})
    return [thread["thread_id"] for thread in (talked, asked, failed)]


async def everything(client, thread_ids):
    """Return all that clients can ask for, streams from their first event on included."""
    kept = {
        "threads": await client.threads.search(limit=100, sort_by="created_at"),
        "assistants": await client.assistants.search(limit=100),
        "items": await client.store.search_items(("docs",)),
        "crons": await client.crons.search(select=["cron_id", "payload", "next_run_date"]),
    }
    for thread_id in thread_ids:
        runs = await client.runs.list(thread_id, limit=100)
        kept[thread_id] = {
            "state": await client.threads.get_state(thread_id),
            "history": await client.threads.get_history(thread_id, limit=100),
            "runs": runs,
            "events": [await events_of(client, thread_id, run["run_id"]) for run in runs],
        }
    return kept


async def events_of(client, thread_id, run_id):
    stream = client.runs.join_stream(thread_id, run_id, last_event_id="-1")
    return [part async for part in stream]


async def test_all_data_is_there_after_everything_was_killed(client, kill_everything):
    thread_ids = await fill(client)
    before = await everything(client, thread_ids)
    await kill_everything()
    async with asyncio.timeout(60):
        assert await everything(client, thread_ids) == before
        _, asked, _ = thread_ids
        final = await client.runs.wait(asked, "approval", command={"resume": "yes"})
    assert final["log"] == ["before", "answered yes", "after"]


async def test_what_was_under_way_and_what_was_to_come_happens_after_everything_was_killed(
    client, kill_everything
):
    thread_id = (await client.threads.create())["thread_id"]
    given = {"steps": STEPS, "step_s": 0.2}
    stream = client.runs.stream(thread_id, "slow", input=given, stream_mode=["custom", "values"])
    queued = delayed = None
    steps, numbers, attempts = [], [], []
    async with asyncio.timeout(90):
        async for part in stream:
            numbers.append(int(part.id.partition("-")[2]))
            if part.event == "metadata":
                attempts.append(part.data["attempt"])
            if part.event == "values":
                final = part.data
            if part.event == "custom":
                steps.append(part.data["step"])
            if part.event == "custom" and queued is None and steps[-1] == STEPS // 2:
                queued = await client.runs.create(thread_id, "echo", input={"n": 2})
                options = {"input": {"n": 3}, "after_seconds": 1, "on_completion": "keep"}
                delayed = await client.runs.create(None, "echo", **options)
                await kill_everything()
        assert (await client.runs.join(thread_id, queued["run_id"]))["n"] == 2
        assert (await client.runs.join(delayed["thread_id"], delayed["run_id"]))["n"] == 3
    assert numbers == list(range(1, len(numbers) + 1)), "one iterator, and no event lost or doubled"
    assert attempts == [1, 2]
    assert set(steps) == set(range(1, STEPS + 1))
    assert final["done"] == list(range(1, STEPS + 1))
