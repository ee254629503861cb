"""Every option of the unmodified SDKs is honoured, passed over by the table, or refused by name."""

import inspect

import pytest
from graph_stack import collect
from langgraph_sdk.errors import UnprocessableEntityError

from api.assistant_schemas import AssistantCreate, AssistantPatch, AssistantSearch, VersionSearch
from api.cron_schemas import CronCreate, CronPatch, CronSearch
from api.schemas import RunCreate
from api.thread_schemas import ThreadCreate, ThreadPatch, ThreadSearch

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: What http.md passes over, and what the SDK keeps to itself.
PASSED_OVER = {
    "checkpoint_during",
    "feedback_keys",
    "langsmith_tracing",
    "stream_resumable",
}
OF_THE_CLIENT = {"self", "headers", "params", "version", "on_run_created", "raise_error"}
#: Parts of a path, or of another option.
PLACES = {"thread_id", "assistant_id", "cron_id", "run_id"}
CALLS = [
    ("runs.stream", RunCreate, set()),
    ("runs.create", RunCreate, set()),
    ("runs.wait", RunCreate, set()),
    ("threads.create", ThreadCreate, {"graph_id"}),
    ("threads.update", ThreadPatch, {"return_minimal"}),
    ("threads.search", ThreadSearch, set()),
    ("assistants.create", AssistantCreate, set()),
    ("assistants.update", AssistantPatch, set()),
    ("assistants.search", AssistantSearch, {"response_format"}),
    ("assistants.get_versions", VersionSearch, set()),
    ("crons.create", CronCreate, set()),
    ("crons.create_for_thread", CronCreate, set()),
    ("crons.update", CronPatch, set()),
    ("crons.search", CronSearch, set()),
]


@pytest.mark.parametrize(("call", "model", "elsewhere"), CALLS, ids=[call for call, *_ in CALLS])
async def test_no_option_of_the_sdk_is_unknown_here(client, call, model, elsewhere):
    group, name = call.split(".")
    options = set(inspect.signature(getattr(getattr(client, group), name)).parameters)
    unknown = options - set(model.model_fields) - PASSED_OVER - OF_THE_CLIENT - PLACES
    assert unknown == elsewhere


async def test_what_is_not_honoured_is_refused_by_name(client, thread_id):
    run = {"thread_id": thread_id, "assistant_id": "approval"}
    with pytest.raises(UnprocessableEntityError, match="strict_resume"):
        await client.runs.create(**run, command={"resume": "x"}, strict_resume=True)
    with pytest.raises(UnprocessableEntityError, match="on_completion"):
        await client.runs.create(**run, input={"log": []}, on_completion="delete")
    with pytest.raises(UnprocessableEntityError, match="values"):
        await client.threads.search(values={"a": 1})
    with pytest.raises(UnprocessableEntityError, match="extract"):
        await client.threads.search(extract={"a": "values.a"})
    with pytest.raises(UnprocessableEntityError, match="values"):
        await client.threads.count(values={"a": 1})
    with pytest.raises(UnprocessableEntityError, match="query"):
        await client.store.search_items(["a"], query="meaning")
    with pytest.raises(UnprocessableEntityError, match="index"):
        await client.store.put_item(["a"], "b", {}, index=["c"])
    assert await client.runs.list(thread_id) == []


@pytest.mark.filterwarnings("ignore:`checkpoint_during` is deprecated:DeprecationWarning")
async def test_what_the_table_passes_over_changes_nothing(client, thread_id):
    passed_over = {
        "stream_resumable": True,
        "checkpoint_during": False,
        "strict_resume": False,
        "langsmith_tracing": {"project_name": "p"},
    }
    plain = await collect(client.runs.stream(thread_id, "nested", input={"log": []}))
    more = client.runs.stream(
        None, "nested", input={"log": []}, feedback_keys=["good"], **passed_over
    )
    assert [(part.event, part.data) for part in await collect(more)][1:] == [
        (part.event, part.data) for part in plain
    ][1:]


@pytest.mark.parametrize("query", ["namespace=", "namespace=a&namespace=b"])
async def test_a_part_of_a_run_cannot_be_streamed_alone(stack, client, thread_id, query):
    run = await client.runs.create(thread_id, "echo", input={})
    path = f"/threads/{thread_id}/runs"
    async with stack.http.get(f"{path}/{run['run_id']}/stream?{query}") as answer:
        assert (answer.status, (await answer.json())["code"]) == (422, "unsupported-option")
    body = {"assistant_id": "echo", "input": {}}
    async with stack.http.post(f"{path}/stream?{query}", json=body) as answer:
        assert (answer.status, (await answer.json())["code"]) == (422, "unsupported-option")
    assert len(await client.runs.list(thread_id)) == 1


@pytest.mark.parametrize("name", ["echo", "nested"])
async def test_a_state_has_the_fields_that_are_asked_for(stack, client, thread_id, name):
    await client.runs.wait(thread_id, name, input={"log": ["a"], "values": {"log": [], "b": 1}})
    log = (await client.threads.get_state(thread_id))["values"]["log"]
    path = f"/threads/{thread_id}/state?select=next&select=values.log"
    async with stack.http.get(path) as answer:
        assert await answer.json() == {"next": [], "values": {"log": log}}
    chosen = await client.threads.get_history(thread_id, limit=1, select=["values.log", "next"])
    assert chosen == [{"next": [], "values": {"log": log}}]


async def test_runs_are_listed_with_the_fields_that_are_asked_for(stack, client, thread_id):
    run = await client.runs.create(thread_id, "echo", input={"sleep_s": 60})
    (shown,) = await client.runs.list(thread_id, select=["run_id", "status"])
    assert shown.keys() == {"run_id", "status"}
    path = f"/threads/{thread_id}/runs/{run['run_id']}/cancel?wait=0&reason=taken"
    async with stack.http.post(path) as answer:
        assert (answer.status, (await answer.json())["code"]) == (422, "unsupported-option")
    await client.runs.cancel(thread_id, run["run_id"], wait=True)
