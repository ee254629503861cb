"""The unmodified npm SDK, both versions that people have, against our gateway and a real worker."""

import pytest
from js_client import JsError

pytestmark = pytest.mark.usefixtures("worker")

WAIT = True


@pytest.fixture
async def thread_id(js):
    return (await js.call("threads.create", {"metadata": {"topic": "tests"}}))["thread_id"]


async def test_a_thread_is_created_changed_found_and_deleted(js, thread_id):
    thread = await js.call("threads.get", thread_id)
    assert (thread["metadata"], thread["status"]) == ({"topic": "tests"}, "idle")
    await js.call("threads.update", thread_id, {"metadata": {"more": 1}})
    found = await js.call("threads.search", {"metadata": {"more": 1}})
    assert [each["thread_id"] for each in found] == [thread_id]
    assert await js.call("threads.count", {"metadata": {"more": 1}}) == 1
    state = await js.call("threads.getState", thread_id)
    assert (state["values"], state["checkpoint"]) == ({}, None)
    assert await js.call("threads.getHistory", thread_id) == []
    await js.call("threads.delete", thread_id)
    with pytest.raises(JsError) as missing:
        await js.call("threads.get", thread_id)
    assert missing.value.status == 404


async def test_a_run_streams_from_metadata_to_end_and_tells_its_ids(js, thread_id):
    created = []
    body = {
        "input": {"events": 3, "values": {"answer": 42}},
        "streamMode": ["values", "custom"],
        "signal": True,
    }
    parts = await js.collect("runs.stream", thread_id, "echo", body, created=created)
    assert [part["event"] for part in parts] == ["metadata", *["echo"] * 3, "values", "end"]
    run_id = parts[0]["data"]["run_id"]
    assert created == [{"run_id": run_id, "thread_id": thread_id}]
    assert parts[-2]["data"] == {"answer": 42}
    # What the page shows next must be there when the stream closes.
    assert (await js.call("threads.getState", thread_id))["values"] == {"answer": 42}
    assert (await js.call("runs.get", thread_id, run_id))["status"] == "success"


async def test_joining_replays_a_run_in_the_modes_that_are_asked_for(js, thread_id):
    run = await js.call("runs.create", thread_id, "echo", {"input": {"events": 5}})
    run_id = run["run_id"]
    all_of_it = {"lastEventId": "-1"}
    live = await js.collect("runs.joinStream", thread_id, run_id, all_of_it)
    assert [part["event"] for part in live] == ["metadata", *["echo"] * 5, "values", "end"]
    assert await js.collect("runs.joinStream", thread_id, run_id, all_of_it) == live
    rest = await js.collect("runs.joinStream", thread_id, run_id, {"lastEventId": live[3]["id"]})
    assert rest == live[4:]
    modes = {"lastEventId": "-1", "streamMode": ["values", "updates"]}
    filtered = await js.collect("runs.joinStream", thread_id, run_id, modes)
    assert filtered == [live[0], *live[-2:]]
    without_thread = await js.collect("runs.joinStream", None, run_id, all_of_it)
    assert without_thread == live


async def test_waiting_returns_the_final_values_or_throws_what_the_run_failed_with(js, thread_id):
    assert await js.call("runs.wait", thread_id, "echo", {"input": {"a": 1}}) == {"a": 1}
    assert await js.call("runs.wait", None, "echo", {"input": [1, 2]}) == [1, 2]
    run = await js.call("runs.create", thread_id, "echo", {"input": {"b": 2}})
    assert await js.call("runs.join", thread_id, run["run_id"]) == {"b": 2}
    with pytest.raises(JsError, match="EchoError: broken"):
        await js.call("runs.wait", thread_id, "echo", {"input": {"fail": "broken"}})


async def test_many_runs_are_created_in_one_request(js):
    wanted = [{"assistantId": "echo", "input": number} for number in range(3)]
    made = await js.call("runs.createBatch", wanted)
    for number, run in enumerate(made):
        assert await js.call("runs.join", run["thread_id"], run["run_id"]) == number


async def test_many_runs_are_cancelled_in_one_request(open_js, gateway):
    js = await open_js("sdk-1.15.0", gateway.url)  # 2.0.0 has no such method
    thread_id = (await js.call("threads.create", {}))["thread_id"]
    sleeping = {"input": {"sleep_s": 60}}
    made = [await js.call("runs.create", thread_id, "echo", sleeping) for _ in range(3)]
    chosen = [run["run_id"] for run in made[1:]]
    await js.call("runs.cancelMany", {"threadId": thread_id, "runIds": chosen})
    found = await js.call("runs.list", thread_id, {"status": "interrupted"})
    assert {run["run_id"] for run in found} == set(chosen)
    await js.call("runs.cancel", thread_id, made[0]["run_id"], WAIT)


async def test_assistants_are_found_by_name_and_id(js):
    found = await js.call("assistants.search", {"graphId": "echo"})
    assert [each["name"] for each in found] == ["echo"]
    assert await js.call("assistants.get", "echo") == found[0]
    assert await js.call("assistants.get", found[0]["assistant_id"]) == found[0]


async def test_items_are_put_found_searched_and_deleted(js):
    await js.call("store.putItem", ["docs", "a"], "1", {"n": 1})
    assert (await js.call("store.getItem", ["docs", "a"], "1"))["value"] == {"n": 1}
    found = await js.call("store.searchItems", ["docs"], {"filter": {"n": 1}})
    assert [item["key"] for item in found["items"]] == ["1"]
    listed = await js.call("store.listNamespaces", {"prefix": ["docs"]})
    assert listed["namespaces"] == [["docs", "a"]]
    await js.call("store.deleteItem", ["docs", "a"], "1")
    assert await js.call("store.getItem", ["docs", "a"], "1") is None


async def test_an_assistant_is_made_changed_used_and_deleted(js, thread_id):
    made = await js.call(
        "assistants.create", {"graphId": "echo", "name": "mine", "metadata": {"team": "red"}}
    )
    assistant_id = made["assistant_id"]
    changed = await js.call("assistants.update", assistant_id, {"name": "ours"})
    assert (changed["version"], changed["metadata"]) == (2, {"team": "red"})
    assert len(await js.call("assistants.getVersions", assistant_id)) == 2
    assert (await js.call("assistants.setLatest", assistant_id, 1))["name"] == "mine"
    found = await js.call("assistants.search", {"metadata": {"team": "red"}})
    assert [each["assistant_id"] for each in found] == [assistant_id]
    assert await js.call("runs.wait", thread_id, assistant_id, {"input": {"a": 1}}) == {"a": 1}
    assert (await js.call("threads.copy", thread_id))["values"] == {"a": 1}
    await js.call("assistants.delete", assistant_id)
    assert assistant_id not in {each["assistant_id"] for each in await js.call("assistants.search")}


async def test_a_thread_is_given_a_time_to_live(js, http):
    for given, strategy in (
        (60, "delete"),
        ({"ttl": 60, "strategy": "keep_latest"}, "keep_latest"),
    ):
        thread_id = (await js.call("threads.create", {"ttl": given}))["thread_id"]
        async with http.get(f"/threads/{thread_id}?include=ttl") as answer:
            shown = (await answer.json())["ttl"]
        assert (shown["ttl_minutes"], shown["strategy"]) == (60, strategy)


async def test_what_checkpoints_say_of_themselves_cannot_be_changed(js, thread_id):
    with pytest.raises(JsError) as refused:
        await js.call("threads.patchState", thread_id, {"a": 1})
    assert refused.value.status == 405
