"""The unmodified SDK of the platform against our gateway and a real worker."""

import asyncio

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

pytestmark = pytest.mark.usefixtures("worker")

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def client(gateway):
    async with get_client(url=gateway.url, api_key=None) as opened:
        yield opened


@pytest.fixture
async def thread_id(client):
    return (await client.threads.create(metadata={"topic": "tests"}))["thread_id"]


async def collect(stream):
    async with asyncio.timeout(20):
        return [part async for part in stream]


async def test_a_thread_is_created_and_read(client, thread_id):
    thread = await client.threads.get(thread_id)
    assert thread["metadata"] == {"topic": "tests"}
    assert (thread["status"], thread["values"]) == ("idle", None)
    state = await client.threads.get_state(thread_id)
    assert (state["values"], state["checkpoint"], state["next"]) == ({}, None, [])
    assert await client.threads.get_history(thread_id) == []
    own = await client.threads.create(thread_id="my_thread", if_exists="do_nothing")
    again = await client.threads.create(thread_id="my_thread", if_exists="do_nothing")
    assert own == again


async def test_a_run_streams_from_metadata_to_end_and_tells_its_ids(client, thread_id):
    created = []
    parts = await collect(
        client.runs.stream(
            thread_id,
            "echo",
            input={"events": 3, "values": {"answer": 42}},
            stream_mode=["values", "custom"],
            on_run_created=created.append,
        )
    )
    assert [part.event for part in parts] == [
        "metadata",
        *["echo"] * 3,
        "values",
        "end",
    ]
    assert parts[0].data["run_id"] == created[0]["run_id"]
    assert created[0]["thread_id"] == thread_id
    assert parts[-2].data == {"answer": 42}
    assert (await client.runs.get(thread_id, created[0]["run_id"]))["status"] == "success"
    state = await client.threads.get_state(thread_id)
    assert state["values"] == {"answer": 42}
    history = await client.threads.get_history(thread_id)
    assert [each["values"] for each in history] == [{"answer": 42}]


async def test_joining_from_minus_one_replays_a_finished_run(client, thread_id):
    run = await client.runs.create(thread_id, "echo", input={"events": 5})
    live = await collect(client.runs.join_stream(thread_id, run["run_id"], last_event_id="-1"))
    again = await collect(client.runs.join_stream(thread_id, run["run_id"], last_event_id="-1"))
    assert [part.event for part in live] == ["metadata", *["echo"] * 5, "values", "end"]
    assert again == live
    rest = await collect(
        client.runs.join_stream(
            thread_id, run["run_id"], last_event_id=live[3].id, stream_mode="values"
        )
    )
    assert rest == live[-2:]


async def test_waiting_returns_the_final_values(client, thread_id):
    assert await client.runs.wait(thread_id, "echo", input={"a": 1}) == {"a": 1}
    assert await client.runs.wait(None, "echo", input=[1, 2]) == [1, 2]
    run = await client.runs.create(thread_id, "echo", input={"b": 2, "sleep_s": 0.1})
    assert await client.runs.join(thread_id, run["run_id"]) == {"b": 2, "sleep_s": 0.1}


async def test_a_stateless_run_streams_and_can_be_joined(client):
    created = []
    parts = await collect(
        client.runs.stream(None, "echo", input="hello", on_run_created=created.append)
    )
    assert [part.event for part in parts] == ["metadata", "values", "end"]
    assert created[0]["thread_id"] is not None


async def started(client, thread_id, **options):
    run = await client.runs.create(thread_id, "echo", input={"sleep_s": 60}, **options)
    async for part in client.runs.join_stream(thread_id, run["run_id"]):
        if part.event == "echo":
            return run["run_id"]
    return pytest.fail("the run ended before it began")


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_a_run_takes_the_place_of_the_one_under_way(client, thread_id, strategy):
    old = await started(client, thread_id)
    waiting = asyncio.create_task(client.runs.join(thread_id, old))
    new = client.runs.wait(thread_id, "echo", input=[2], multitask_strategy=strategy)
    assert await asyncio.wait_for(new, 10) == [2]
    assert (await waiting)["__error__"]["error"] == "RunInterruptedError"
    listed = [run["run_id"] for run in await client.runs.list(thread_id)]
    assert (old in listed) is (strategy == "interrupt")


async def test_a_run_is_deleted(client, thread_id):
    await client.runs.wait(thread_id, "echo", input={"a": 1})
    run_id = await started(client, thread_id)
    await client.runs.delete(thread_id, run_id)
    for asking in (client.runs.get, client.runs.delete):
        with pytest.raises(NotFoundError):
            await asking(thread_id, run_id)
    assert (await client.threads.get(thread_id))["values"] == {"a": 1}


async def test_a_thread_is_deleted_with_the_run_it_executes(client, thread_id):
    run_id = await started(client, thread_id)
    await client.threads.delete(thread_id)
    for asking in (
        client.threads.get(thread_id),
        client.threads.delete(thread_id),
        client.threads.update(thread_id, metadata={"late": 1}),
        client.runs.get(thread_id, run_id),
        client.runs.create(thread_id, "echo"),
    ):
        with pytest.raises(NotFoundError):
            await asking


async def test_metadata_of_a_thread_is_merged(client, thread_id):
    updated = await client.threads.update(thread_id, metadata={"more": 1})
    assert updated["metadata"] == {"topic": "tests", "more": 1}
    assert await client.threads.update(thread_id, metadata={}, return_minimal=True) is None
    assert (await client.threads.get(thread_id))["metadata"] == updated["metadata"]


async def test_threads_are_searched_and_counted(client):
    for number in range(5):
        made = await client.threads.create(metadata={"number": number, "odd": number % 2 == 1})
    await client.runs.wait(made["thread_id"], "echo", input={"last": 1})
    await client.runs.wait(None, "echo", input=1)
    found = await client.threads.search(metadata={"odd": False}, sort_by="created_at")
    assert [thread["metadata"]["number"] for thread in found] == [4, 2, 0]
    assert found[0] == await client.threads.get(made["thread_id"])
    page = await client.threads.search(limit=2, offset=1, sort_by="created_at", sort_order="asc")
    assert [thread["metadata"]["number"] for thread in page] == [1, 2]
    ids = await client.threads.search(ids=[made["thread_id"]], select=["thread_id", "values"])
    assert ids == [{"thread_id": made["thread_id"], "values": {"last": 1}}]
    assert await client.threads.count() == 5
    assert await client.threads.count(metadata={"odd": True}, status="idle") == 2
    with pytest.raises(UnprocessableEntityError, match="values"):
        await client.threads.search(values={"last": 1})


async def test_many_runs_are_created_in_one_request_or_none(client, thread_id):
    wanted = [{"assistant_id": "echo", "input": number} for number in range(3)]
    own = {"assistant_id": "echo", "input": "own", "thread_id": thread_id}
    made = await client.runs.create_batch([*wanted, own])
    values = [await client.runs.join(run["thread_id"], run["run_id"]) for run in made]
    assert values == [0, 1, 2, "own"]
    assert made[-1]["thread_id"] == thread_id
    with pytest.raises(NotFoundError):
        await client.runs.create_batch([own, {**own, "thread_id": UNKNOWN}])
    assert len(await client.runs.list(thread_id)) == 1


async def test_many_runs_are_cancelled_in_one_request(client, thread_id, eventually):
    running = await started(client, thread_id)
    queued = [(await client.runs.create(thread_id, "echo"))["run_id"] for _ in range(3)]

    async def statuses():
        return [run["status"] for run in await client.runs.list(thread_id)][::-1]

    await client.runs.cancel_many(thread_id=thread_id, run_ids=queued[:1])
    assert await statuses() == ["running", "interrupted", "pending", "pending"]
    await client.runs.cancel_many(status="pending", action="rollback")
    assert await statuses() == ["running", "interrupted"]
    with pytest.raises(NotFoundError):
        await client.runs.cancel_many(thread_id=thread_id, run_ids=[UNKNOWN, running])
    await eventually(lambda: all_are(statuses, "interrupted"))
    await client.runs.cancel_many(status="all")
    with pytest.raises(UnprocessableEntityError, match="run_ids"):
        await client.runs.cancel_many(run_ids=["a"])


async def all_are(statuses, wanted):
    return set(await statuses()) == {wanted}


async def test_runs_are_listed_newest_first(client, thread_id):
    ids = [
        (await client.runs.create(thread_id, "echo", input=number))["run_id"] for number in range(3)
    ]
    await client.runs.join(thread_id, ids[-1])
    listed = await client.runs.list(thread_id)
    assert [run["run_id"] for run in listed] == ids[::-1]
    assert {run["status"] for run in listed} == {"success"}
    page = await client.runs.list(thread_id, limit=1, offset=1, status="success")
    assert [run["run_id"] for run in page] == [ids[1]]
    assert await client.runs.list(thread_id, status="pending") == []


async def test_assistants_are_found_by_name_and_id(client):
    found = await client.assistants.search()
    assert {"echo", "passages"} <= {assistant["name"] for assistant in found}
    (echo,) = await client.assistants.search(graph_id="echo")
    assert await client.assistants.get("echo") == echo
    assert await client.assistants.get(echo["assistant_id"]) == echo
    assert await client.assistants.count(graph_id="echo") == 1
    page = await client.assistants.search(limit=1, response_format="object")
    assert (len(page["assistants"]), page["next"]) == (1, "1")


async def test_errors_have_the_types_that_the_sdk_knows(client, thread_id):
    with pytest.raises(NotFoundError, match="does not exist"):
        await client.threads.get(UNKNOWN)
    with pytest.raises(NotFoundError, match="does not exist"):
        await collect(client.runs.stream(UNKNOWN, "echo", input=1))
    with pytest.raises(NotFoundError, match="not declared"):
        await client.runs.create(thread_id, "no_such_assistant")
    with pytest.raises(NotFoundError, match="does not exist"):
        await collect(client.runs.join_stream(thread_id, UNKNOWN))
    with pytest.raises(ConflictError, match="exists already"):
        await client.threads.create(thread_id=thread_id)
    with pytest.raises(UnprocessableEntityError, match="webhook"):
        await client.runs.create(thread_id, "echo", webhook="http://127.0.0.1:1/")
    run = await client.runs.create(thread_id, "echo", input={"sleep_s": 60})
    with pytest.raises(ConflictError, match="busy") as busy:
        await client.runs.create(thread_id, "echo", multitask_strategy="reject")
    assert busy.value.code == "run-conflict"
    await client.runs.cancel(thread_id, run["run_id"])
