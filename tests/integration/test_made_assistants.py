"""Assistants that clients make, through the unmodified SDK: defaults of runs, in versions."""

import asyncio

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError
from named_users import authenticate, opened_clients


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(authenticate)


@pytest.fixture
async def connect(gateway):
    """Open clients: ``await connect("her")``; they close with the test."""
    async with opened_clients(gateway.url) as connect:
        yield connect


@pytest.fixture
async def client(connect):
    return await connect()


@pytest.fixture
async def made(client):
    return await client.assistants.create(
        "echo",
        config={"configurable": {"model": "small", "k": 1}, "tags": ["a"]},
        metadata={"team": "red"},
        name="Short echo",
        description="for tests",
    )


async def test_an_assistant_is_made_found_and_deleted(client, made, connect, start_gateway):
    echo = await client.assistants.get("echo")
    assert made["graph_id"] == "echo"
    assert made["assistant_id"] != echo["assistant_id"]
    assert (made["name"], made["version"], made["description"]) == ("Short echo", 1, "for tests")
    elsewhere = await connect(url=(await start_gateway()).url)
    assert await elsewhere.assistants.get(made["assistant_id"]) == made
    assert (await client.assistants.search())[0] == made
    assert await client.assistants.search(metadata={"team": "red"}) == [made]
    assert await client.assistants.search(name="short") == [made]
    by_name = await client.assistants.search(sort_by="name", sort_order="asc", select=["name"])
    assert [each["name"] for each in by_name] == ["Short echo", "echo", "passages"]
    assert await client.assistants.count(graph_id="echo") == 2
    assert (await client.assistants.get_schemas(made["assistant_id"]))["graph_id"] == "echo"
    await client.assistants.delete(made["assistant_id"])
    with pytest.raises(NotFoundError):
        await elsewhere.assistants.get(made["assistant_id"])
    with pytest.raises(NotFoundError):
        await client.assistants.delete(made["assistant_id"])
    assert await client.assistants.count(graph_id="echo") == 1


async def test_an_id_is_taken_once(client, made):
    assistant_id = made["assistant_id"]
    with pytest.raises(ConflictError):
        await client.assistants.create("echo", assistant_id=assistant_id)
    same = await client.assistants.create(
        "passages", assistant_id=assistant_id, if_exists="do_nothing"
    )
    assert same == made
    with pytest.raises(ConflictError):
        await client.assistants.create("passages", assistant_id="echo", if_exists="do_nothing")
    with pytest.raises(NotFoundError):
        await client.assistants.create("nothing")
    with pytest.raises(UnprocessableEntityError):
        await client.assistants.create("echo", assistant_id="a b")
    for call in (
        client.assistants.update("echo", name="mine"),
        client.assistants.delete("echo"),
        client.assistants.set_latest("echo", 1),
    ):
        with pytest.raises(ConflictError, match="declared"):
            await call


async def test_each_update_is_a_version_and_any_may_be_the_latest(client, made):
    assistant_id = made["assistant_id"]
    changed = await client.assistants.update(
        assistant_id, config={"tags": ["b"]}, metadata={"color": 1}
    )
    assert (changed["version"], changed["name"]) == (2, "Short echo")
    assert changed["config"] == {"tags": ["b"]}
    assert changed["metadata"] == {"team": "red", "color": 1}
    versions = await client.assistants.get_versions(assistant_id)
    assert [each["version"] for each in versions] == [2, 1]
    assert versions[1]["config"] == made["config"]
    colored = await client.assistants.get_versions(assistant_id, metadata={"color": 1})
    assert [each["version"] for each in colored] == [2]
    back = await client.assistants.set_latest(assistant_id, 1)
    assert (back["version"], back["config"]) == (1, made["config"])
    assert (await client.assistants.update(assistant_id, name="New"))["version"] == 3
    with pytest.raises(NotFoundError, match="version 9"):
        await client.assistants.set_latest(assistant_id, 9)
    assert len(await client.assistants.get_versions("echo")) == 1


async def test_updates_at_the_same_time_are_all_kept(client, made):
    assistant_id = made["assistant_id"]
    names = [f"name {number}" for number in range(6)]
    await asyncio.gather(*(client.assistants.update(assistant_id, name=name) for name in names))
    versions = await client.assistants.get_versions(assistant_id, limit=100)
    assert [each["version"] for each in versions] == [7, 6, 5, 4, 3, 2, 1]
    assert {each["name"] for each in versions[:-1]} == set(names)


async def test_runs_have_the_defaults_of_their_assistant_and_the_body_wins(client, made):
    thread_id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(
        thread_id,
        made["assistant_id"],
        config={"configurable": {"k": 2}},
        metadata={"own": True},
    )
    assert run["assistant_id"] == made["assistant_id"]
    assert run["metadata"] == {"team": "red", "own": True}
    assert run["kwargs"]["config"] == {"configurable": {"model": "small", "k": 2}, "tags": ["a"]}
    await client.assistants.update(made["assistant_id"], context={"a": 1, "b": 1})
    later = await client.runs.create(thread_id, made["assistant_id"], context={"b": 2})
    assert later["kwargs"]["context"] == {"a": 1, "b": 2}
    assert (await client.runs.get(thread_id, run["run_id"]))["kwargs"]["context"] is None


@pytest.mark.usefixtures("worker")
async def test_a_worker_executes_the_runs_of_a_made_assistant(client, made):
    assert await client.runs.wait(None, made["assistant_id"], input={"a": 1}) == {"a": 1}


async def test_threads_are_deleted_with_the_assistant_when_asked(client, made):
    of_made, of_echo = [(await client.threads.create())["thread_id"] for _ in range(2)]
    await client.runs.create(of_made, made["assistant_id"])
    await client.runs.create(of_echo, "echo")
    await client.assistants.delete(made["assistant_id"], delete_threads=True)
    with pytest.raises(NotFoundError):
        await client.threads.get(of_made)
    assert (await client.threads.get(of_echo))["status"] == "busy"


async def test_an_assistant_is_its_makers_alone(connect):
    hers, his, operator = [await connect(user) for user in ("her", "him", None)]
    assistant_id = (await hers.assistants.create("echo", name="hers"))["assistant_id"]
    thread_id = (await his.threads.create())["thread_id"]
    for call in (
        his.assistants.get(assistant_id),
        his.assistants.get_schemas(assistant_id),
        his.assistants.get_versions(assistant_id),
        his.assistants.update(assistant_id, name="his"),
        his.assistants.set_latest(assistant_id, 1),
        his.assistants.delete(assistant_id),
        his.runs.create(thread_id, assistant_id),
        his.runs.create(None, assistant_id),
    ):
        with pytest.raises(NotFoundError):
            await call
    with pytest.raises(ConflictError):
        await his.assistants.create("echo", assistant_id=assistant_id, if_exists="do_nothing")
    assert await his.assistants.search(name="hers") == []
    assert await his.assistants.count(graph_id="echo") == 1
    assert (await operator.assistants.get(assistant_id))["name"] == "hers"
    assert (await hers.assistants.search(name="hers"))[0]["version"] == 1
