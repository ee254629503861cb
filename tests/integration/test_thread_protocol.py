"""The newer thread protocol by the unmodified SDK: ``client.threads.stream`` on functions and graphs."""

import asyncio

import pytest
import pytest_asyncio
from graph_stack import running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack(tmp_path_factory):
    async with running_stack(tmp_path_factory.mktemp("protocol")) as running:
        yield running


@pytest.fixture
def client(stack):
    return stack.client


def said(text):
    return {"messages": [{"role": "user", "content": text}]}


async def within(awaitable, seconds=30):
    async with asyncio.timeout(seconds):
        return await awaitable


async def listed(items):
    return [item async for item in items]


async def test_a_run_is_started_on_a_new_thread_and_its_output_awaited(client):
    async with client.threads.stream(assistant_id="chat") as thread:
        started = await thread.run.start(input=said("hi"))
        values = await within(thread.output)
    assert [each["type"] for each in values["messages"]] == ["human", "ai"]
    run = await client.runs.get(thread.thread_id, started["run_id"])
    assert run["status"] == "success"


async def test_messages_come_as_texts_that_grow(client):
    async with client.threads.stream(assistant_id="chat") as thread, asyncio.timeout(30):
        await thread.run.start(input=said("one two"))
        async for message in thread.messages:
            pieces = [piece async for piece in message.text]
            assert pieces == ["you ", "said ", "one ", "two "]
            assert (await message.output).text == "you said one two "
            assert message.node == "model"


async def test_values_messages_and_tools_come_interleaved_on_one_connection(client):
    async with client.threads.stream(assistant_id="chat") as thread, asyncio.timeout(30):
        await thread.run.start(input=said("add 1 2"))
        wanted = ["values", "messages", "tool_calls", "updates", "tasks", "checkpoints"]
        items = [item async for item in thread.interleave_projections(wanted)]
        of = {name: [item for kind, item in items if kind == name] for name in wanted}
        (call,) = of["tool_calls"]
        assert (call.name, call.input) == ("add", {"numbers": "1 2"})
        assert (await call.output)["content"] == "3"
        assert [(await message.output).text for message in of["messages"]] == [
            "",
            "the tool says 3 ",
        ]
        (asked,) = (await of["messages"][0].output).tool_calls
        assert (asked["name"], asked["args"]) == ("add", {"numbers": "1 2"})
        assert [each["node"] for each in of["updates"]] == ["model", "tools", "model"]
        kinds = [message["type"] for message in of["values"][-1]["messages"]]
        assert kinds == ["human", "ai", "tool", "ai"]
        assert {each["source"] for each in of["checkpoints"]} == {"input", "loop"}
        assert of["checkpoints"][1]["parent_id"] == of["checkpoints"][0]["id"]
        assert [each["name"] for each in of["tasks"] if "input" in each] == [
            "model",
            "tools",
            "model",
        ]


async def test_a_function_streams_its_values_and_its_own_events_by_name(client):
    async with client.threads.stream(assistant_id="echo") as thread, asyncio.timeout(30):
        await thread.run.start(input={"events": 3, "values": {"answer": 42}})
        items = [item async for item in thread.interleave_projections(["echo", "values"])]
        assert [kind for kind, _ in items] == ["echo", "echo", "echo", "values"]
        assert items[-1][1] == {"answer": 42}
        assert await thread.output == {"answer": 42}


async def test_a_failed_run_is_told_as_failed(client):
    async with client.threads.stream(assistant_id="failing") as thread:
        await thread.run.start(input={"log": []})
        with pytest.raises(RuntimeError, match="LookupError: nothing there"):
            await within(thread.output)


async def interrupted(thread):
    async with asyncio.timeout(30):
        while not thread.interrupted:
            await asyncio.sleep(0.01)


async def test_a_graph_asks_and_its_answer_goes_on_over_the_same_connection(client):
    async with client.threads.stream(assistant_id="approval") as thread:
        first = await thread.run.start(input={"log": ["x"]})
        await interrupted(thread)
        (asked,) = thread.interrupts
        assert asked["value"] == {"question": "go on?", "log": ["x", "before"]}
        second = await thread.run.respond("yes")
        assert second["run_id"] != first["run_id"]
        final = await within(thread.output)
        assert final["log"] == ["x", "before", "answered yes", "after"]


async def test_a_question_is_shown_to_who_comes_later_and_an_unknown_one_is_refused(client):
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "approval", input={"log": []})
    async with client.threads.stream(thread_id, assistant_id="approval") as thread:
        await interrupted(thread)
        thread.interrupts[0]["interrupt_id"] = "someone-elses"
        with pytest.raises(RuntimeError, match="no_such_interrupt"):
            await thread.run.respond("yes")


async def test_a_second_turn_does_not_take_the_end_of_the_first_for_its_own(client):
    async with client.threads.stream(assistant_id="chat") as thread:
        await thread.run.start(input=said("a"))
        await within(thread.output)
    async with client.threads.stream(thread.thread_id, assistant_id="chat") as again:
        await again.run.start(input=said("b"))
        values = await within(again.output)
    assert [message["content"] for message in values["messages"]][-1] == "you said b "


async def test_commands_that_cannot_be_done_are_answered_by_error_objects(stack, client):
    path = "/threads/nobodys/commands"
    for method, params, code in (
        ("agent.getTree", {}, "not_supported"),
        ("make.coffee", {}, "unknown_command"),
        ("input.respond", {"interrupt_id": "x", "response": 1}, "no_such_run"),
        ("input.respond", {}, "invalid_argument"),
        ("run.start", {"assistant_id": "nothing"}, "invalid_argument"),
        ("run.start", {}, "invalid_argument"),
    ):
        body = {"id": 7, "method": method, "params": params}
        async with stack.http.post(path, json=body) as answer:
            said_back = await answer.json()
            assert (answer.status, said_back["type"], said_back["id"]) == (200, "error", 7)
            assert said_back["error"] == code
    async with stack.http.post("/threads/nobodys/stream/events", json={"channels": ["values"]}) as no:
        assert no.status == 404
    async with stack.http.post("/threads/nobodys/stream/events", json={"channels": ["all"]}) as no:
        assert no.status == 422
