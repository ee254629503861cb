"""The unmodified SDK copies, prunes and fills threads; functions begin at the newest state."""

import pytest
from langgraph_sdk.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    UnprocessableEntityError,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def test_a_copy_has_state_and_history_and_goes_its_own_way(client, thread_id):
    await client.runs.wait(thread_id, "approval", input={"log": []})
    copied = await client.threads.copy(thread_id)
    assert copied["thread_id"] != thread_id
    assert (copied["metadata"], copied["status"]) == ({"topic": "tests"}, "interrupted")
    original = await client.threads.get_history(thread_id, limit=50)
    history = await client.threads.get_history(copied["thread_id"], limit=50)
    assert [each["values"] for each in history] == [each["values"] for each in original]
    final = await client.runs.wait(copied["thread_id"], "approval", command={"resume": "yes"})
    assert final["log"][-1] == "after"
    assert await client.threads.get_history(thread_id, limit=50) == original
    assert await client.runs.list(thread_id) != await client.runs.list(copied["thread_id"])


async def test_a_copy_of_a_functions_thread_has_its_values(client, thread_id):
    await client.runs.wait(thread_id, "echo", input={"a": 1})
    copied = await client.threads.copy(thread_id)
    assert copied["values"] == {"a": 1}
    await client.runs.wait(thread_id, "echo", input={"a": 2})
    assert (await client.threads.get_state(copied["thread_id"]))["values"] == {"a": 1}


async def test_what_cannot_be_copied_is_refused_and_leaves_nothing(client, thread_id):
    with pytest.raises(NotFoundError):
        await client.threads.copy(UNKNOWN)
    before = await client.threads.count()
    run = await client.runs.create(thread_id, "slow", input={"steps": 9, "step_s": 5})
    with pytest.raises(ConflictError, match="busy"):
        await client.threads.copy(thread_id)
    await client.runs.cancel(thread_id, run["run_id"], wait=True)
    assert await client.threads.count() == before


async def test_pruning_spares_the_newest_state_or_nothing(client, thread_id):
    await client.runs.wait(thread_id, "nested", input={"log": []})
    state = await client.threads.get_state(thread_id)
    assert len(await client.threads.get_history(thread_id, limit=50)) > 1
    kept = await client.threads.prune([thread_id, UNKNOWN], strategy="keep_latest")
    assert kept == {"pruned_count": 1}
    assert [each["values"] for each in await client.threads.get_history(thread_id, limit=50)] == [
        state["values"]
    ]
    assert await client.threads.prune([thread_id, UNKNOWN]) == {"pruned_count": 1}
    with pytest.raises(NotFoundError):
        await client.threads.get(thread_id)


async def test_a_thread_begins_with_supersteps(client):
    steps = [
        {"updates": [{"values": {"log": ["given"]}, "as_node": "__input__"}]},
        {"updates": [{"values": {"log": ["given"]}, "as_node": "__start__"}]},
        {"updates": [{"values": {"log": ["by hand"]}, "as_node": "ask"}]},
    ]
    thread = await client.threads.create(graph_id="approval", supersteps=steps)
    state = await client.threads.get_state(thread["thread_id"])
    assert (state["values"], state["next"]) == ({"log": ["given", "by hand"]}, ["after"])
    final = await client.runs.wait(thread["thread_id"], "approval", input=None)
    assert final["log"] == ["given", "by hand", "after"]


async def test_supersteps_that_cannot_be_made_leave_no_thread(client):
    before = await client.threads.count()
    steps = [{"updates": [{"values": {"log": ["given"]}, "as_node": "nobody"}]}]
    for graph, match in ((None, "graph_id"), ("echo", "function"), ("approval", "nobody")):
        with pytest.raises(UnprocessableEntityError, match=match):
            await client.threads.create(graph_id=graph, supersteps=steps)
    with pytest.raises(BadRequestError, match="supersteps"):
        await client.threads.create(
            thread_id="mine", if_exists="do_nothing", graph_id="approval", supersteps=steps
        )
    assert await client.threads.count() == before


async def test_a_function_begins_at_the_newest_state_and_at_no_other(client, stack, thread_id):
    await client.runs.wait(thread_id, "echo", input={"n": 1})
    first = (await client.threads.get_history(thread_id))[0]["checkpoint"]
    assert await client.runs.wait(thread_id, "echo", input={"n": 2}, checkpoint=first) == {"n": 2}
    for place in (
        {"checkpoint": first},
        {"checkpoint_id": first["checkpoint_id"]},
        {"checkpoint": {"checkpoint_ns": "inner"}},
    ):
        with pytest.raises(UnprocessableEntityError, match="newest state"):
            await client.runs.create(thread_id, "echo", input={"n": 3}, **place)
    newest = (await client.threads.get_state(thread_id))["checkpoint"]
    body = {"assistant_id": "echo", "input": {"n": 4}, "checkpoint": newest}
    answers = []
    for _ in range(2):  # a repeat finds its run, although the thread has a newer state since
        path = f"/threads/{thread_id}/runs"
        async with stack.http.post(path, json=body, headers={"Idempotency-Key": "4"}) as answer:
            assert answer.status == 200, await answer.text()
            answers.append((await answer.json())["run_id"])
        await client.runs.join(thread_id, answers[0])
    assert answers[0] == answers[1]
