"""The traps of executing graphs, each by name: what the engine does when nobody looks after it."""

import asyncio
import os
import sys

import pytest
import pytest_asyncio
from graph_stack import GRAPHS, collect, running_stack
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from langgraph_sdk.errors import UnprocessableEntityError

from bridge import MemoryStreamBridge, StreamEvent
from runs import RunRecord, WorkerSettings
from runs.context import Outbox, RunContext
from runs.graphs.executor import GraphExecutor
from runs.graphs.persistence import Persistence
from runs.graphs.source import GraphSource
from runs.models import now
from runs.node_threads import NodeThreads

pytestmark = pytest.mark.asyncio(loop_scope="module")


class SlowSaver(InMemorySaver):
    """Takes its time to store, as a database does."""

    async def aput(self, *given):
        await asyncio.sleep(0.1)
        return await super().aput(*given)


def record_of(run_id, **kwargs):
    asked = {"stream_mode": ["values", "custom"], **kwargs}
    made = {"run_id": run_id, "thread_id": "t", "assistant_id": "a", "executor": "slow"}
    return RunRecord(**made, kwargs=asked, created_at=now(), updated_at=now())


class Bench:
    """Executes attempts of runs by one graph, without a worker around it."""

    def __init__(self, name, saver):
        self.saver = saver
        shared = Persistence(lambda: saver, lambda _: InMemoryStore())
        self.executor = GraphExecutor(GraphSource(f"{GRAPHS}:{name}"), lambda: shared)
        self.bridge = MemoryStreamBridge()

    async def execute(self, run_id, attempt=1, **kwargs):
        await self.bridge.create(run_id, thread_id="t")
        outbox = Outbox(self.bridge, run_id, WorkerSettings())
        context = RunContext(record_of(run_id, **kwargs), attempt, outbox)
        await self.executor.execute(context, kwargs.get("input"))
        await outbox.flush()
        return await context.stored if context.stored is not None else None

    async def events(self, run_id):
        async with self.bridge.follow(run_id) as following:
            batch = await anext(following.batches())
            return [(item.event, item.data) for item in batch if isinstance(item, StreamEvent)]

    def checkpoints(self):
        return sum(len(each) for spaces in self.saver.storage.values() for each in spaces.values())


@pytest_asyncio.fixture(loop_scope="module")
async def bench():
    made = Bench("slow", SlowSaver())
    async with made.bridge:
        yield made


async def test_1_a_second_cancel_leaves_nothing_that_writes_checkpoints_behind_the_run(
    bench, eventually
):
    running = asyncio.create_task(bench.execute("r", input={"steps": 9, "step_s": 0.05}))
    await eventually(bench.checkpoints)
    running.cancel()
    await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    stored = bench.checkpoints()
    await asyncio.sleep(0.4)
    assert bench.checkpoints() == stored > 0


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_2_a_cancelled_run_is_interrupted_although_its_task_notes_an_error(
    client, thread_id, durability
):
    given = {"steps": 9, "step_s": 0.3}
    run = await client.runs.create(
        thread_id, "slow", input=given, stream_mode="custom", durability=durability
    )
    async for part in client.runs.join_stream(thread_id, run["run_id"], stream_mode="custom"):
        if part.event == "custom" and part.data["step"] == 2:
            break
    await client.runs.cancel(thread_id, run["run_id"], wait=True)
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"
    assert (await client.threads.get(thread_id))["status"] == "interrupted"
    final = await client.runs.wait(thread_id, "slow", input={"steps": 3, "step_s": 0})
    assert final["done"] == [1, 2, 3]


async def test_3_a_sync_node_that_was_cancelled_runs_on_and_holds_up_nobody(
    client, thread_id, tmp_path, eventually
):
    given = {"step_s": 1.5, "file": str(tmp_path / "done")}
    run = await client.runs.create(thread_id, "sync_node", input=given, stream_mode="custom")
    async for part in client.runs.join_stream(thread_id, run["run_id"], stream_mode="custom"):
        if part.event == "custom":
            break
    await client.runs.cancel(thread_id, run["run_id"], wait=True)
    assert not (tmp_path / "done").exists()
    await eventually((tmp_path / "done").exists)


async def test_3_threads_of_nodes_are_bounded_and_do_not_hold_a_process_back():
    code = (
        "import asyncio, time\n"
        "from runs.node_threads import NodeThreads\n"
        "async def main():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    loop.set_default_executor(NodeThreads(2))\n"
        "    running = [loop.run_in_executor(None, time.sleep, 60) for _ in range(3)]\n"
        "    await asyncio.wait(running, timeout=0.1)\n"
        "    print(sum(each.cancel() for each in running))\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env={**os.environ}
    )
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"3\n")
    threads = NodeThreads(2)
    calls = [threads.submit(sum, [number, 1]) for number in range(9)]
    assert [call.result(timeout=5) for call in calls] == list(range(1, 10))
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(timeout=5)


async def test_3_a_node_that_blocks_the_loop_keeps_its_run(tmp_path_factory):
    async with running_stack(tmp_path_factory.mktemp("leases"), lease_s=0.5, probe_s=0.3) as own:
        run = await own.client.runs.create(None, "blocking", input={"step_s": 2})
        final = await own.client.runs.join(run["thread_id"], run["run_id"])
        assert final["done"] == [1]
        made = await own.gateway.facade.find_run(run["run_id"])
        assert (made.attempt, made.status) == (1, "success")


async def test_4_checkpoints_are_labelled_with_their_run(client, thread_id):
    run = await client.runs.create(thread_id, "approval", input={"log": []})
    await client.runs.join(thread_id, run["run_id"])
    history = await client.threads.get_history(thread_id, limit=9)
    assert {each["metadata"]["run_id"] for each in history} == {run["run_id"]}
    assert {each["metadata"]["graph_id"] for each in history} == {"approval"}


async def test_5_a_later_attempt_goes_on_from_the_runs_own_last_checkpoint(bench, eventually):
    given = {"steps": 9, "step_s": 0.2}

    async def steps():
        return [data["step"] for event, data in await bench.events("r") if event == "custom"]

    async def is_in_the_middle():
        return len(await steps()) == 3

    await bench.bridge.create("r", thread_id="t")
    running = asyncio.create_task(bench.execute("r", input=given))
    await eventually(is_in_the_middle)
    running.cancel()
    await asyncio.wait([running])
    before = len(await steps())
    await bench.execute("r", attempt=2, input=given)
    # The step that was under way is told again; nothing before it is done again.
    assert await steps() == [*range(1, before + 1), *range(before, 10)]
    assert before < 9


async def test_5_a_later_attempt_of_a_run_without_checkpoints_begins_with_its_input(bench):
    await bench.execute("first", input={"steps": 1})
    await bench.execute("second", attempt=2, input={"steps": 3})
    values = [data for event, data in await bench.events("second") if event == "values"]
    assert values[-1]["done"] == [1, 2, 3]


async def test_6_an_answer_to_nobody_is_an_error_and_runs_nothing(client, thread_id):
    with pytest.raises(Exception, match="NothingToResumeError"):
        await client.runs.wait(thread_id, "approval", command={"resume": "yes"})
    assert await client.threads.get_history(thread_id) == []
    with pytest.raises(Exception, match="EmptyInputError"):
        await client.runs.wait(thread_id, "approval", input=None)
    await client.runs.wait(thread_id, "nested", input={"log": []})
    with pytest.raises(Exception, match="NothingToResumeError"):
        await client.runs.wait(thread_id, "nested", command={"resume": "yes"})


async def test_7_messages_are_stored_as_pieces_and_shown_as_texts_so_far(client, thread_id):
    words = " ".join(["word"] * 200)
    given = {"messages": [{"role": "user", "content": words}]}
    run = await client.runs.create(thread_id, "chat", input=given, stream_mode="messages")
    joined = {"thread_id": thread_id, "run_id": run["run_id"]}
    texts = await collect(client.runs.join_stream(**joined, stream_mode="messages"))
    pieces = await collect(client.runs.join_stream(**joined, stream_mode="messages-tuple"))
    stored = [part.data[0]["content"] for part in pieces if part.event == "messages"]
    assert max(map(len, stored)) < 10
    shown = [part.data[0] for part in texts if part.event == "messages/partial"]
    assert [each["content"] for each in shown[:3]] == ["you ", "you said ", "you said word "]
    assert shown[-1]["content"] == f"you said {words} "
    assert {each["type"] for each in shown} == {"ai"}
    told = [part for part in texts if part.event == "messages/metadata"]
    assert [list(part.data) for part in told] == [[shown[0]["id"]]]
    assert told[0].data[shown[0]["id"]]["metadata"]["langgraph_node"] == "model"
    # Whoever joins without naming a mode gets the form that the run's creator asked for.
    assert [
        part
        for part in await collect(client.runs.join_stream(**joined))
        if part.event in {"messages/partial", "messages/metadata"}
    ] == [part for part in texts if part.event in {"messages/partial", "messages/metadata"}]
    for place in (1, 2, 3, 150, len(texts) - 2):
        after = client.runs.join_stream(
            **joined, stream_mode="messages", last_event_id=texts[place].id
        )
        rest = await collect(after)
        # What told of a message has the id of the event before, so that nothing is lost behind it.
        assert rest in (texts[place + 1 :], texts[place:])


async def test_7_tool_calls_grow_and_complete_messages_are_told_as_such(client, thread_id):
    given = {"messages": [{"role": "user", "content": "add 1 2"}]}
    parts = await collect(
        client.runs.stream(thread_id, "chat", input=given, stream_mode=["messages", "values"])
    )
    calls = [part.data[0]["tool_calls"] for part in parts if part.event == "messages/partial"]
    assert calls[0] == [{"name": "add", "args": {}, "id": "c1", "type": "tool_call"}]
    assert calls[1][0]["args"] == {"numbers": "1 2"}
    (complete,) = [part.data[0] for part in parts if part.event == "messages/complete"]
    assert (complete["type"], complete["content"]) == ("tool", "3")
    final = [part for part in parts if part.event == "values"][-1].data["messages"]
    last = [part for part in parts if part.event == "messages/partial"][-1].data[0]
    assert {**final[-1], "usage_metadata": None} == {**last, "usage_metadata": None}


async def test_8_the_tuple_form_wins_and_modes_of_another_route_are_refused(client, thread_id):
    given = {"messages": [{"role": "user", "content": "hi"}]}
    parts = await collect(
        client.runs.stream(
            thread_id, "chat", input=given, stream_mode=["messages", "messages-tuple"]
        )
    )
    assert {part.event for part in parts} == {"metadata", "messages", "end"}
    assert all(isinstance(part.data, list) for part in parts if part.event == "messages")
    for mode in ("tools", "lifecycle"):
        with pytest.raises(UnprocessableEntityError, match="stream_mode"):
            await client.runs.create(thread_id, "chat", input=given, stream_mode=mode)


async def test_9_what_has_no_json_form_changes_and_fails_no_run(client, thread_id):
    parts = await collect(
        client.runs.stream(thread_id, "odd", input={"log": []}, stream_mode=["custom", "values"])
    )
    told = [part.data for part in parts if part.event == "custom"]
    assert told == [
        {"nan": None, "object": None, "text": "? \ufffd", "set": [1], "2": "two"},
        {"failure": {"error": "LookupError", "message": "told"}},
        {"self": [None]},
        {"self": [None]},
    ]
    assert parts[-2].data == {"log": ["odd ?"]}
    assert parts[-1].event == "end"


async def test_10_final_values_are_stored_and_readable_before_the_end_is_told(client, thread_id):
    for modes in ("updates", "values"):
        async for part in client.runs.stream(
            thread_id, "nested", input={"log": [modes]}, stream_mode=modes
        ):
            if part.event == "end":
                values = (await client.threads.get(thread_id))["values"]
                state = await client.threads.get_state(thread_id)
                run = (await client.runs.list(thread_id))[0]
        assert values == state["values"]
        assert modes in values["log"]
        assert run["status"] == "success"
        everything = await collect(client.runs.join_stream(thread_id, run["run_id"]))
        assert [part.event for part in everything][-2:] == ["values", "end"]
        assert everything[-2].data == values
