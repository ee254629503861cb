"""The unmodified SDK of the platform against graphs: every stream mode, questions, errors."""

import pytest
from gateways import running_gateway
from graph_stack import collect, said
from langgraph_sdk import get_client
from langgraph_sdk.errors import (
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    UnprocessableEntityError,
)

from runs import AssistantSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_chat_with_a_tool_streams_in_each_mode(client, thread_id):
    modes = ["values", "updates", "messages-tuple", "custom", "tasks", "checkpoints", "debug"]
    parts = await collect(
        client.runs.stream(thread_id, "chat", input=said("add 1 2"), stream_mode=modes)
    )
    names = [part.event for part in parts]
    assert (names[0], names[-1]) == ("metadata", "end")
    assert set(names) == {*modes, "messages", "metadata", "end"} - {"messages-tuple"}
    assert [part.data for part in parts if part.event == "custom"] == [{"tool": "add"}]
    nodes = [next(iter(part.data)) for part in parts if part.event == "updates"]
    assert nodes == ["model", "tools", "model"]
    tokens = [part.data for part in parts if part.event == "messages"]
    text = "".join(chunk["content"] for chunk, _ in tokens if chunk["type"] == "AIMessageChunk")
    assert text == "the tool says 3 "
    assert {about["langgraph_node"] for _, about in tokens} == {"model", "tools"}
    last = [part for part in parts if part.event == "values"][-1]
    kinds = [message["type"] for message in last.data["messages"]]
    assert kinds == ["human", "ai", "tool", "ai"]
    tasks = [part.data["name"] for part in parts if part.event == "tasks" and "input" in part.data]
    assert tasks == ["model", "tools", "model"]
    shown = [part.data for part in parts if part.event == "checkpoints"]
    assert shown[-1]["checkpoint"]["thread_id"] == thread_id
    assert shown[-1]["parent_checkpoint"] == shown[-2]["checkpoint"]
    assert {part.data["type"] for part in parts if part.event == "debug"} == {
        "checkpoint",
        "task",
        "task_result",
    }
    ids = [part.id for part in parts]
    assert len(set(ids)) == len(ids)


async def test_the_events_of_everything_inside_a_graph_are_streamed(client):
    parts = await collect(
        client.runs.stream(None, "chat", input=said("hi"), stream_mode=["events", "values"])
    )
    kinds = {part.data["event"] for part in parts if part.event == "events"}
    assert {"on_chain_start", "on_chat_model_stream", "on_chat_model_end"} <= kinds
    assert parts[-2].event in {"events", "values"}
    assert any(part.event == "values" for part in parts)


async def test_chunks_of_subgraphs_name_the_path_to_them(client):
    options = {"input": {"log": []}, "stream_mode": ["updates", "custom", "values"]}
    parts = await collect(client.runs.stream(None, "nested", stream_subgraphs=True, **options))
    inner = [part.event.split("|") for part in parts if "|" in part.event]
    assert {mode for mode, _ in inner} == {"updates", "custom", "values"}
    assert {path.split(":")[0] for _, path in inner} == {"inner"}
    parts = await collect(client.runs.stream(None, "nested", **options))
    assert not any("|" in part.event for part in parts)


@pytest.mark.parametrize("form", ["repeated", "comma", "array", "empty"])
async def test_a_reader_names_its_modes_in_any_of_the_forms_that_clients_send(
    stack, client, thread_id, wire, form
):
    run = await client.runs.create(
        thread_id, "approval", input={"log": []}, stream_mode=["values", "updates", "tasks"]
    )
    await client.runs.join(thread_id, run["run_id"])
    query = {
        "repeated": "stream_mode=updates&stream_mode=tasks",
        "comma": "stream_mode=updates,tasks",
        "array": 'stream_mode=["updates","tasks"]',
        "empty": "stream_mode=",
    }[form]
    async with wire.read(
        stack.http, f"/threads/{thread_id}/runs/{run['run_id']}/stream?{query}"
    ) as frames:
        names = {event["event"] for event in wire.events(await frames.rest())}
    wanted = {"metadata", "updates", "tasks", "end"}
    assert names == (wanted | {"values"} if form == "empty" else wanted)


async def test_a_graph_asks_and_goes_on_with_the_answer(client, thread_id):
    parts = await collect(client.runs.stream(thread_id, "approval", input={"log": ["x"]}))
    (asked,) = parts[-2].data["__interrupt__"]
    assert asked["value"] == {"question": "go on?", "log": ["x", "before"]}
    run = (await client.runs.list(thread_id))[0]
    assert run["status"] == "success"
    thread = await client.threads.get(thread_id)
    assert thread["status"] == "interrupted"
    assert thread["values"] == {"log": ["x", "before"]}
    assert [each for group in thread["interrupts"].values() for each in group] == [asked]
    state = await client.threads.get_state(thread_id)
    assert state["next"] == ["ask"]
    assert state["tasks"][0]["interrupts"] == state["interrupts"] == [asked]

    parts = await collect(client.runs.stream(thread_id, "approval", command={"resume": "yes"}))
    assert parts[-2].data == {"log": ["x", "before", "answered yes", "after"]}
    thread = await client.threads.get(thread_id)
    assert (thread["status"], thread["interrupts"]) == ("idle", {})
    assert (await client.threads.get_state(thread_id))["next"] == []


async def test_a_question_reaches_readers_of_any_mode_once(client, thread_id):
    for modes, event in (("messages-tuple", "values"), ("updates", "updates"), ("tasks", "values")):
        parts = await collect(
            client.runs.stream(thread_id, "approval", input={"log": []}, stream_mode=modes)
        )
        asked = [
            part.event
            for part in parts
            if isinstance(part.data, dict) and "__interrupt__" in part.data
        ]
        assert asked == [event]


async def test_all_of_several_questions_are_in_the_final_values_and_are_answered_by_id(
    client, thread_id
):
    final = await client.runs.wait(thread_id, "two_questions", input={"log": []})
    assert {each["value"] for each in final["__interrupt__"]} == {"first", "second"}
    answers = {each["id"]: each["value"].upper() for each in final["__interrupt__"]}
    final = await client.runs.wait(thread_id, "two_questions", command={"resume": answers})
    assert sorted(final["log"]) == ["first FIRST", "quiet", "second SECOND"]


async def test_a_run_stops_before_and_after_the_nodes_that_its_creator_names(client, thread_id):
    stops = {"input": {"log": []}, "interrupt_before": ["ask"], "interrupt_after": ["before"]}
    assert await client.runs.wait(thread_id, "approval", **stops) == {"log": ["before"]}
    assert (await client.threads.get(thread_id))["status"] == "interrupted"
    assert (await client.threads.get_state(thread_id))["next"] == ["ask"]
    final = await client.runs.wait(thread_id, "approval", input=None)
    assert "__interrupt__" in final


async def test_a_command_updates_and_goes_to_a_node(client, thread_id):
    command = {"update": {"log": ["told"]}, "goto": "after"}
    final = await client.runs.wait(thread_id, "jumping", command=command)
    assert "told" in final["log"]
    assert "after" in final["log"]
    send = {"goto": {"node": "never", "input": {"log": []}}}
    assert "never" in (await client.runs.wait(thread_id, "jumping", command=send))["log"]


async def test_a_run_begins_at_an_earlier_checkpoint(client, thread_id):
    await client.runs.wait(thread_id, "approval", input={"log": []}, interrupt_before=["ask"])
    early = (await client.threads.get_state(thread_id))["checkpoint"]
    for answer in ("a", "b"):
        await client.runs.wait(thread_id, "approval", input=None, checkpoint=early)
        final = await client.runs.wait(thread_id, "approval", command={"resume": answer})
        assert final["log"] == ["before", f"answered {answer}", "after"]
    with pytest.raises(Exception, match="CheckpointNotFoundError"):
        await client.runs.wait(thread_id, "approval", input=None, checkpoint_id="none")


async def test_config_and_context_reach_the_nodes_with_the_runs_identity(client, thread_id):
    config = {"tags": ["a"], "configurable": {"color": "red", "language": "de"}}
    run = await client.runs.create(
        thread_id, "looks", input={}, config=config, metadata={"topic": "q"}
    )
    seen = (await client.runs.join(thread_id, run["run_id"]))["seen"]
    assert seen["thread_id"] == thread_id
    assert (seen["run_id"], seen["assistant_id"]) == (run["run_id"], run["assistant_id"])
    assert (seen["color"], seen["graph_id"], seen["tags"]) == ("red", "looks", ["a"])
    assert seen["metadata"] == {"run_id": run["run_id"], "topic": "q", "run_attempt": 1}
    assert seen["context"] == {"language": "de"}
    assert seen["has_store"] is True
    seen = (await client.runs.wait(thread_id, "looks", input={}, context={"language": "fr"}))[
        "seen"
    ]
    assert seen["context"] == {"language": "fr"}


async def test_factories_get_what_they_ask_for(client):
    final = await client.runs.wait(None, "makes", input={"log": []})
    assert final["log"] == ["before"]
    config = {"configurable": {"name": "bob"}}
    final = await client.runs.wait(None, "makes_by_config", input={"log": []}, config=config)
    assert final["log"] == ["bob"]
    final = await client.runs.wait(None, "opens", input={"log": []}, context={"a": 1})
    assert final["log"] == ["threads.create_run {'a': 1}"]
    with pytest.raises(Exception, match="returned no graph but int"):
        await client.runs.wait(None, "makes_nothing", input={"log": []})


async def test_an_error_is_told_with_its_class_and_the_thread_stays_usable(client, thread_id):
    parts = await collect(client.runs.stream(thread_id, "failing", input={"log": []}))
    assert [part.event for part in parts][-2:] == ["error", "end"]
    assert parts[-2].data == {"error": "LookupError", "message": "nothing there"}
    thread = await client.threads.get(thread_id)
    assert thread["status"] == "error"
    state = await client.threads.get_state(thread_id)
    assert state["next"] == ["broken"]
    assert "nothing there" in state["tasks"][0]["error"]
    limit = {"recursion_limit": 1}
    with pytest.raises(Exception, match="GraphRecursionError"):
        await client.runs.wait(thread_id, "nested", input={"log": []}, config=limit)
    assert (await client.runs.wait(thread_id, "nested", input={"log": []}))["log"]


async def test_models_and_tokens_are_on_the_record(client, thread_id):
    await client.runs.wait(thread_id, "chat", input=said("add 1 2"))
    run = (await client.runs.list(thread_id))[0]
    assert run["model_name"] == "parrot-1"
    assert run["usage"] == {"input_tokens": 4, "output_tokens": 4, "total_tokens": 8}


async def test_a_run_is_cancelled_in_the_middle_and_the_thread_goes_on(client, thread_id):
    given = {"steps": 50, "step_s": 0.2}
    run = await client.runs.create(thread_id, "slow", input=given, stream_mode=["custom", "values"])
    async for part in client.runs.join_stream(thread_id, run["run_id"]):
        if part.event == "custom" and part.data["step"] == 3:
            break
    await client.runs.cancel(thread_id, run["run_id"], wait=True)
    assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"
    assert (await client.threads.get(thread_id))["status"] == "interrupted"
    state = await client.threads.get_state(thread_id)
    assert state["values"]["done"] == [1, 2]
    assert state["next"] == ["work"]
    final = await client.runs.wait(thread_id, "slow", input={"steps": 4, "step_s": 0})
    assert final["done"] == [1, 2, 3, 4]


async def test_options_that_contradict_or_that_nothing_honours_are_refused(client, thread_id):
    for option, error, match in (
        ({"command": {"resume": 1}, "input": {"log": []}}, BadRequestError, "command"),
        ({"config": {"callbacks": []}}, UnprocessableEntityError, "config.callbacks"),
        ({"config": {"recursion_limit": 0}}, UnprocessableEntityError, "recursion_limit"),
        ({"command": {"jump": 1}}, UnprocessableEntityError, "command"),
        ({"stream_mode": "tools"}, UnprocessableEntityError, "stream_mode"),
        ({"stream_mode": ["values", "lifecycle"]}, UnprocessableEntityError, "stream_mode"),
        ({"durability": "never"}, UnprocessableEntityError, "durability"),
    ):
        with pytest.raises(error, match=match):
            await client.runs.create(thread_id, "approval", **option)
    with pytest.raises(BadRequestError, match=r"command\.resume"):
        await client.runs.create(None, "approval", command={"resume": 1})
    with pytest.raises(UnprocessableEntityError, match="interrupt_before"):
        await client.runs.create(thread_id, "echo", interrupt_before="*")
    with pytest.raises(UnprocessableEntityError, match=r"command\.goto"):
        await client.runs.create(thread_id, "echo", command={"goto": "a"})
    assert await client.runs.list(thread_id) == []


async def test_durability_exit_stores_one_checkpoint(client, thread_id):
    await client.runs.wait(thread_id, "nested", input={"log": []}, durability="exit")
    assert len(await client.threads.get_history(thread_id, limit=50)) == 1
    await client.runs.wait(thread_id, "nested", input={"log": []}, durability="sync")
    assert len(await client.threads.get_history(thread_id, limit=50)) > 2


async def test_a_state_is_updated_read_at_a_checkpoint_and_in_history(client, thread_id):
    await client.runs.wait(thread_id, "approval", input={"log": []})
    before = await client.threads.get_state(thread_id)
    made = await client.threads.update_state(thread_id, {"log": ["by hand"]}, as_node="ask")
    state = await client.threads.get_state(thread_id)
    assert state["checkpoint"]["checkpoint_id"] == made["checkpoint"]["checkpoint_id"]
    assert (state["values"]["log"], state["next"]) == (["before", "by hand"], ["after"])
    earlier = await client.threads.get_state(
        thread_id, checkpoint_id=before["checkpoint"]["checkpoint_id"]
    )
    assert earlier["values"] == before["values"]
    same = await client.threads.get_state(thread_id, checkpoint=before["checkpoint"])
    assert same["checkpoint"] == before["checkpoint"]
    history = await client.threads.get_history(thread_id, limit=2)
    assert [each["checkpoint"] for each in history] == [state["checkpoint"], before["checkpoint"]]
    rest = await client.threads.get_history(thread_id, limit=50, before=before["checkpoint"])
    assert rest[0]["checkpoint"] == before["parent_checkpoint"]
    chosen = await client.threads.get_history(thread_id, limit=1, select=["next"])
    assert chosen == [{"next": ["after"]}]
    assert (await client.runs.wait(thread_id, "approval", input=None))["log"][-1] == "after"


async def test_a_state_that_cannot_be_had_or_made_is_refused_by_its_kind(client, thread_id):
    with pytest.raises(NotFoundError):
        await client.threads.get_state("00000000-0000-4000-8000-000000000000")
    with pytest.raises(UnprocessableEntityError, match="no graph knows"):
        await client.threads.update_state(thread_id, {"log": []})
    await client.runs.wait(thread_id, "approval", input={"log": []})
    with pytest.raises(NotFoundError, match="no checkpoint"):
        await client.threads.get_state(thread_id, checkpoint_id="none")
    with pytest.raises(UnprocessableEntityError, match="nobody"):
        await client.threads.update_state(thread_id, {"log": []}, as_node="nobody")
    run = await client.runs.create(thread_id, "slow", input={"steps": 9, "step_s": 5})
    with pytest.raises(ConflictError, match="busy"):
        await client.threads.update_state(thread_id, {"log": []})
    await client.runs.cancel(thread_id, run["run_id"])


async def test_a_thread_that_names_its_graph_has_a_state_before_its_first_run(client):
    thread = await client.threads.create(graph_id="approval")
    state = await client.threads.get_state(thread["thread_id"])
    assert (state["values"], state["checkpoint"], state["next"]) == ({}, None, [])
    await client.threads.update_state(thread["thread_id"], {"log": ["given"]})
    state = await client.threads.get_state(thread["thread_id"])
    assert state["values"] == {"log": ["given"]}


async def test_states_of_subgraphs_are_shown_on_request(client, thread_id):
    await client.runs.wait(thread_id, "nested", input={"log": []}, interrupt_before=["inner"])
    flat = await client.threads.get_state(thread_id)
    deep = await client.threads.get_state(thread_id, subgraphs=True)
    assert flat["tasks"][0]["name"] == deep["tasks"][0]["name"] == "inner"
    assert flat["tasks"][0]["state"] is None


async def test_graphs_tell_their_schemas_and_their_drawing(client):
    schemas = await client.assistants.get_schemas("approval")
    assert schemas["graph_id"] == "approval"
    assert schemas["input_schema"]["properties"]["log"]["type"] == "array"
    drawn = await client.assistants.get_graph("nested", xray=True)
    assert {"outer", "__start__"} <= {node["id"] for node in drawn["nodes"]}
    assert any(edge["source"] == "outer" for edge in drawn["edges"])
    assert list(await client.assistants.get_subgraphs("nested")) == ["inner"]
    assert (await client.assistants.get_graph("echo"))["nodes"][1]["id"] == "echo"
    assert (await client.assistants.get_schemas("echo"))["input_schema"] is None


async def test_a_state_that_no_worker_can_tell_is_unavailable_not_wrong(stack, client):
    lonely = AssistantSettings(function="nowhere:graph", kind="graph")
    http = stack.settings.http.model_copy(update={"graph_answer_s": 0.3})
    changed = {"assistants": {"lonely": lonely}, "http": http}
    thread = await client.threads.create(graph_id="lonely")
    async with (
        running_gateway(stack.settings.model_copy(update=changed)) as impatient,
        get_client(url=impatient.url, api_key=None) as asking,
    ):
        with pytest.raises(InternalServerError, match="no worker of lonely answered") as caught:
            await asking.threads.get_state(thread["thread_id"])
        assert caught.value.status_code == 503
