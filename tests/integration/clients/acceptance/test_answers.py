"""What each SDK is told: errors of the right kinds, streams in order, values that are there."""

import asyncio

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "00000000-0000-4000-8000-000000000000"
EVENTS = 5000
STEP = 50


async def test_what_does_not_exist_is_not_found(client, thread_id):
    for method, args in (
        ("threads.get", [UNKNOWN]),
        ("threads.get_state", [UNKNOWN]),
        ("threads.delete", [UNKNOWN]),
        ("runs.get", [thread_id, UNKNOWN]),
        ("runs.create", [UNKNOWN, "echo"]),
        ("runs.create", [thread_id, "no_such_assistant"]),
        ("assistants.get", ["no_such_assistant"]),
    ):
        with client.refused(404):
            await client.call(method, *args)
    for method, args in (
        ("runs.stream", [UNKNOWN, "echo"]),
        ("runs.join_stream", [thread_id, UNKNOWN]),
    ):
        with client.refused(404):
            await client.read(method, *args)


async def test_what_stands_in_the_way_is_a_conflict(client, thread_id, start):
    with client.refused(409):
        await client.call("threads.create", thread_id=thread_id, if_exists="raise")
    run_id = await start()
    with client.refused(409):
        await client.call("runs.create", thread_id, "echo", multitask_strategy="reject")
    with client.refused(409):
        await client.read("runs.stream", thread_id, "echo", multitask_strategy="reject")
    await client.call("runs.cancel", thread_id, run_id, wait=True)
    await client.call("runs.wait", thread_id, "echo", input={"a": 1})
    (run, _) = await client.call("runs.list", thread_id)
    with client.refused(409):
        await client.call("runs.cancel", thread_id, run["run_id"])


async def test_what_cannot_be_honoured_is_unprocessable(client, thread_id):
    for options in (
        {"multitask_strategy": "maybe"},
        {"durability": "never"},
        {"stream_mode": ["values", "everything"]},
        {"interrupt_before": ["node"]},
        {"webhook": "http://127.0.0.1:1/"},
    ):
        with client.refused(422):
            await client.call("runs.create", thread_id, "echo", **options)
        with client.refused(422):
            await client.read("runs.stream", thread_id, "echo", **options)
    assert await client.call("runs.list", thread_id) == []


@pytest.mark.parametrize(
    ("assistant", "given", "values"),
    [
        ("echo", {"values": {"answer": 42}}, {"answer": 42}),
        ("nested", {"log": []}, {"log": ["outer", "outer", "inner"]}),
    ],
)
async def test_a_stream_goes_from_metadata_to_end_and_what_it_told_can_be_read_at_once(
    client, thread_id, assistant, given, values
):
    options = {"input": given, "stream_mode": ["values", "custom"]}
    parts = await client.read("runs.stream", thread_id, assistant, **options)
    state = await client.call("threads.get_state", thread_id)
    thread = await client.call("threads.get", thread_id)
    run = await client.call("runs.get", thread_id, parts[0].data["run_id"])
    history = await client.call("threads.get_history", thread_id)

    assert (parts[0].event, parts[-1].event) == ("metadata", "end")
    assert [part.event for part in parts].count("end") == 1
    assert [part for part in parts if part.event == "values"][-1].data == values
    assert len({part.id for part in parts}) == len(parts)
    assert state["values"] == thread["values"] == history[0]["values"] == values
    assert (run["status"], thread["status"], state["next"]) == ("success", "idle", [])


@pytest.mark.parametrize(
    ("assistant", "given", "error"),
    [
        ("echo", {"fail": "broken"}, {"error": "EchoError", "message": "broken"}),
        ("failing", {"log": []}, {"error": "LookupError", "message": "nothing there"}),
    ],
)
async def test_a_failure_is_told_to_who_waits_and_to_who_reads(
    client, thread_id, assistant, given, error
):
    with pytest.raises(Exception, match="{error}: {message}".format(**error)):
        await client.call("runs.wait", thread_id, assistant, input=given)
    parts = await client.read("runs.stream", thread_id, assistant, input=given)
    assert [part.event for part in parts][-2:] == ["error", "end"]
    assert parts[-2].data == error
    (run, _) = await client.call("runs.list", thread_id)
    assert run["status"] == "error"
    assert await client.call("runs.wait", thread_id, "echo", input=[7]) == [7]


async def test_5000_events_with_a_rejoin_every_50_are_exact(client, thread_id):
    run = await client.call("runs.create", thread_id, "echo", input={"events": EVENTS})
    asked = [thread_id, run["run_id"]]
    parts = await client.read("runs.join_stream", *asked, stop_after=STEP)
    async with asyncio.timeout(100):
        while parts[-1].event != "end":
            options = {"last_event_id": parts[-1].id, "stop_after": STEP}
            parts += await client.read("runs.join_stream", *asked, **options)
    names = [part.event for part in parts]
    assert names == ["metadata", *["echo"] * EVENTS, "values", "end"]
    numbers = [part.data["n"] for part in parts[1:-2]]
    assert numbers == list(range(1, EVENTS + 1))


async def test_a_list_of_modes_selects_events_in_the_form_that_each_sdk_sends(client, thread_id):
    modes = ["values", "updates", "tasks"]
    options = {"input": {"log": []}, "stream_mode": modes}
    parts = await client.read("runs.stream", thread_id, "nested", **options)
    run_id = parts[0].data["run_id"]
    assert {part.event for part in parts} == {"metadata", *modes, "end"}
    asked = {"last_event_id": "-1", "stream_mode": modes[1:]}
    some = await client.read("runs.join_stream", thread_id, run_id, **asked)
    assert some == [part for part in parts if part.event != "values"]
