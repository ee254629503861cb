"""The newer thread protocol: ``client.threads.stream`` of the unmodified SDK, and the wire."""

import asyncio
import json

import pytest
from graph_stack import said
from websockets.exceptions import InvalidStatus

from bridge import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
        reading = []
        async for message in thread.messages:
            assert message.node == "model"
            reading.append(asyncio.create_task(listed(message.text)))
            whole = message
        (pieces,) = await asyncio.gather(*reading)
        assert pieces == ["you ", "said ", "one ", "two "]
        assert (await whole.output).text == "you said one two "


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


async def interrupted(thread, eventually):
    await eventually(lambda: thread.interrupted, within_s=30, what="the run asks")


async def test_a_graph_asks_and_its_answer_goes_on_over_the_same_connection(client, eventually):
    async with client.threads.stream(assistant_id="approval") as thread:
        first = await thread.run.start(input={"log": ["x"]})
        await interrupted(thread, eventually)
        (asked,) = thread.interrupts
        assert asked["value"] == {"question": "go on?", "log": ["x", "before"]}
        second = await thread.run.respond("yes")
        assert second["run_id"] != first["run_id"]
        final = await within(thread.output)
        assert final["log"] == ["x", "before", "answered yes", "after"]


async def test_a_question_is_shown_to_who_comes_later_and_an_unknown_one_is_refused(
    client, eventually
):
    thread_id = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread_id, "approval", input={"log": []})
    async with client.threads.stream(thread_id, assistant_id="approval") as thread:
        await interrupted(thread, eventually)
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


async def test_commands_that_cannot_be_done_are_answered_by_error_objects(stack):
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
    path = "/threads/nobodys/stream/events"
    for channels, status in ((["values"], 404), (["all"], 422), ([], 422)):
        async with stack.http.post(path, json={"channels": channels}) as answer:
            assert answer.status == status


ALL = ("values", "updates", "messages", "tools", "lifecycle", "input", "checkpoints", "tasks")


async def read_events(http, thread_id, until, **body):
    """Return the events of a stream up to the one that ``until`` is true of."""
    told = []
    wanted = {"channels": [*ALL, "custom"], **body}
    path = f"/threads/{thread_id}/stream/events"
    async with asyncio.timeout(30), http.post(path, json=wanted) as response:
        assert response.status == 200, await response.text()
        async for line in response.content:
            if line.startswith(b"id:"):
                last_id = int(line[3:])
            if not line.startswith(b"data:"):
                continue
            told.append(json.loads(line[5:]))
            assert told[-1]["seq"] == last_id
            if until(told[-1]):
                break
    return told


def is_of_root(event):
    return event["method"] == "lifecycle" and not event["params"]["namespace"]


def ends(number):
    """Return a condition that becomes true with the end of the run of that number."""
    seen = []

    def is_end(event):
        if is_of_root(event) and event["params"]["data"]["event"] != "running":
            seen.append(event)
        return len(seen) == number

    return is_end


async def command(http, thread_id, method, **params):
    body = {"id": 1, "method": method, "params": params}
    async with http.post(f"/threads/{thread_id}/commands", json=body) as answer:
        said_back = await answer.json()
        assert said_back["type"] == "success", said_back
        return said_back["result"]


async def test_one_connection_shows_one_run_after_the_other_and_each_cursor_the_rest(stack):
    http, thread_id = stack.http, new_id()
    first = await command(http, thread_id, "run.start", assistant_id="nested", input={"log": []})
    reading = asyncio.create_task(read_events(http, thread_id, ends(3)))
    for name, given in (("chat", said("add 1 2")), ("echo", {"events": 3})):
        await command(http, thread_id, "run.start", assistant_id=name, input=given)
    whole = await reading
    ids = [event["event_id"] for event in whole]
    seqs = [event["seq"] for event in whole]
    assert len(set(ids)) == len(ids)
    assert seqs == sorted(seqs)
    phases = [event["params"]["data"] for event in whole if is_of_root(event)]
    begun = [each["run_id"] for each in phases if each["event"] == "running"]
    assert begun[0] == first["run_id"]
    assert [each["run_id"] for each in phases if each["event"] == "completed"] == begun
    for place in range(0, len(whole), 3):
        since = whole[place]["seq"]
        rest = await read_events(http, thread_id, lambda e: e["event_id"] == ids[-1], since=since)
        # What the cursor's own event said comes again, if it was not the last of it.
        new = [event for event in rest if event["event_id"] not in ids[: place + 1]]
        assert new == whole[place + 1 :]
        assert len(rest) - len(new) < 8


async def test_a_client_that_comes_back_misses_nothing_of_a_run_that_others_queue_behind(
    stack, client
):
    http, thread_id = stack.http, new_id()
    given = {"events": 1, "sleep_s": 60}
    busy = await command(http, thread_id, "run.start", assistant_id="echo", input=given)
    await read_events(http, thread_id, lambda event: event["method"] == "custom")

    async def say(word):
        chunk = {"type": "AIMessageChunk", "id": "m", "content": word}
        path = f"/threads/{thread_id}/runs/{busy['run_id']}/events"
        body = {"event": "messages", "data": [chunk, {}]}
        async with http.post(path, json=body) as answer:
            assert answer.status == 201, await answer.text()

    await say("one ")
    queued = await command(http, thread_id, "run.start", assistant_id="echo", input={})
    await say("two")
    await client.runs.cancel(thread_id, busy["run_id"], wait=True)
    await client.runs.join(thread_id, queued["run_id"])
    whole = await read_events(http, thread_id, ends(2), since=0)
    ids = [event["event_id"] for event in whole]
    for place, event in enumerate(whole[:-1]):
        # A client goes on from the greatest sequence that it has seen.
        since = max(each["seq"] for each in whole[: place + 1])
        rest = await read_events(http, thread_id, lambda e: e["event_id"] == ids[-1], since=since)
        new = [each for each in rest if each["event_id"] not in ids[: place + 1]]
        assert new == whole[place + 1 :], event


@pytest.mark.parametrize(
    ("wanted", "is_wanted"),
    [
        ({"namespaces": [[]], "depth": 0}, lambda e: not e["params"]["namespace"]),
        ({"namespaces": [["inner"]]}, lambda e: bool(e["params"]["namespace"])),
        ({"channels": ["custom", "lifecycle"]}, lambda e: e["method"] in {"custom", "lifecycle"}),
    ],
)
async def test_subgraphs_begin_and_end_and_are_chosen_by_namespace(stack, wanted, is_wanted):
    http, thread_id = stack.http, new_id()
    await command(http, thread_id, "run.start", assistant_id="nested", input={"log": []})
    whole = await read_events(http, thread_id, ends(1))
    inner = [event for event in whole if event["params"]["namespace"]]
    phases = [e["params"]["data"]["event"] for e in inner if e["method"] == "lifecycle"]
    assert phases == ["started", "completed"]
    assert {"values", "updates", "custom", "tasks"} <= {event["method"] for event in inner}
    expected = [event["event_id"] for event in whole if is_wanted(event)]

    def is_last(event):
        return event["event_id"] == expected[-1]

    found = await read_events(http, thread_id, is_last, since=0, **wanted)
    assert [event["event_id"] for event in found] == expected


async def test_the_end_is_told_when_record_and_state_are_final(stack, client):
    http, thread_id = stack.http, new_id()
    for number in range(5):
        given = {"values": {"n": number}}
        run = await command(http, thread_id, "run.start", assistant_id="echo", input=given)

        def is_end(event, run_id=run["run_id"]):
            data = event["params"]["data"]
            return data["event"] == "completed" and data["run_id"] == run_id

        await read_events(http, thread_id, is_end, channels=["lifecycle"])
        assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "success"
        assert (await client.threads.get_state(thread_id))["values"] == {"n": number}


async def test_a_place_beyond_the_log_hides_nothing_that_comes(stack, client):
    thread_id = (await client.threads.create())["thread_id"]
    path, wanted = f"/threads/{thread_id}/stream/events", {"channels": ["lifecycle"]}
    body = {**wanted, "since": 10**12}
    async with asyncio.timeout(30), stack.http.post(path, json=body) as response:
        await command(stack.http, thread_id, "run.start", assistant_id="echo", input={})
        assert b"running" in await response.content.readuntil(b"\n\n")


async def test_a_run_whose_events_are_deleted_before_its_end_holds_up_no_cursor(stack, client):
    bridge, run_id = stack.gateway.bridge, new_id()
    thread_id = (await client.threads.create())["thread_id"]
    seen = asyncio.Event()

    def is_end(event):
        if event["method"] == "custom":
            seen.set()
        return is_of_root(event) and event["params"]["data"]["event"] == "completed"

    reading = asyncio.create_task(read_events(stack.http, thread_id, is_end, since=0))
    await bridge.create(run_id, thread_id=thread_id)
    await bridge.publish(run_id, "step", 1)
    await within(seen.wait())
    await bridge.cleanup(run_id)
    await command(stack.http, thread_id, "run.start", assistant_id="chat", input=said("hi"))
    last = (await within(reading))[-1]
    assert last["event_id"].startswith(f"{last['seq']}-")


async def test_a_stream_ends_with_its_thread(stack, client):
    http, thread_id = stack.http, new_id()
    await command(http, thread_id, "run.start", assistant_id="echo", input={"sleep_s": 60})
    begun = asyncio.Event()
    reading = asyncio.create_task(read_events(http, thread_id, lambda _: begun.set()))
    await within(begun.wait())
    await client.threads.delete(thread_id)
    assert (await within(reading))[0]["params"]["data"]["event"] == "running"


async def test_any_number_of_readers_cost_no_consumer(stack):
    http, thread_id = stack.http, new_id()
    await command(http, thread_id, "run.start", assistant_id="echo", input={"events": 50})
    before = await stack.gateway.bridge.list_consumers()
    reads = await asyncio.gather(*(read_events(http, thread_id, ends(1)) for _ in range(10)))
    assert all(each == reads[0] for each in reads)
    assert len(reads[0]) > 50
    assert await stack.gateway.bridge.list_consumers() == before


async def test_a_command_names_the_run_in_the_answers_headers(stack):
    body = {"id": 3, "method": "run.start", "params": {"assistant_id": "echo"}}
    thread_id = new_id()
    async with stack.http.post(f"/threads/{thread_id}/commands", json=body) as answer:
        run_id = (await answer.json())["result"]["run_id"]
        location = answer.headers["Content-Location"]
    assert location == f"/threads/{thread_id}/runs/{run_id}"


async def test_a_web_socket_is_refused_at_once_in_a_way_that_clients_do_not_repeat(stack, client):
    path = f"/threads/{new_id()}/stream/events"
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    async with stack.http.get(path, headers={**upgrade, **key}) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    async with client.threads.stream(assistant_id="chat", transport="websocket") as thread:
        await thread.run.start(input=said("hi"))
        with pytest.raises(InvalidStatus, match="405"):
            await within(thread.output)
