"""Prefix, headers, groups of routes and checkpointer are as langgraph.json says."""

import logging

import aiohttp
import pytest
from gateways import running_gateway
from graph_stack import with_graphs
from langgraph_sdk import get_client
from langgraph_sdk.errors import NotFoundError
from workers import worker_here

from runs import AssistantSettings, GraphSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAVERS = """
from contextlib import asynccontextmanager
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

opened = []

@asynccontextmanager
async def saver():
    opened.append(InMemorySaver())
    yield opened[0]

def look(state):
    return {"seen": len(opened)}

own = StateGraph(dict).add_node("look", look).add_edge(START, "look").compile(InMemorySaver())
"""


async def test_everything_is_served_below_a_prefix_and_clients_reconnect_there(stack):
    http = stack.settings.http.model_copy(update={"mount_prefix": "/api/graphs"})
    async with running_gateway(stack.settings.model_copy(update={"http": http})) as gateway:
        async with get_client(url=f"{gateway.url}/api/graphs", api_key=None) as client:
            thread = await client.threads.create()
            given = {"input": {"log": []}, "stream_mode": "updates"}
            stream = client.runs.stream(thread["thread_id"], "nested", **given)
            assert [part.event async for part in stream][-1] == "end"
            final = await client.runs.wait(thread["thread_id"], "nested", input={"log": []})
            assert final["log"]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{gateway.url}/ok") as answer:
                assert answer.status == 404
            body = {"assistant_id": "nested", "input": {"log": []}}
            url = f"{gateway.url}/api/graphs/runs/stream"
            async with session.post(url, json=body) as answer:
                assert answer.headers["Location"].startswith("/threads/")


async def test_runs_see_the_headers_that_the_operator_names(stack):
    names = {"header_includes": ("X-User-*", "color"), "header_excludes": ("x-user-secret",)}
    http = stack.settings.http.model_copy(update=names)
    async with running_gateway(stack.settings.model_copy(update={"http": http})) as gateway:
        headers = {"Color": "red", "X-User-Secret": "s"}
        async with get_client(url=gateway.url, api_key=None, headers=headers) as client:
            final = await client.runs.wait(None, "looks", input={})
            assert final["seen"]["color"] == "red"
            run = await client.runs.create(None, "looks", input={})
            assert "x-user-secret" not in str(run["kwargs"])
            own = {"configurable": {"color": "blue"}}
            final = await client.runs.wait(None, "looks", input={}, config=own)
            assert final["seen"]["color"] == "blue"


async def test_groups_of_routes_can_be_left_out(stack):
    http = stack.settings.http.model_copy(update={"disabled": ("assistants",)})
    async with (
        running_gateway(stack.settings.model_copy(update={"http": http})) as gateway,
        get_client(url=gateway.url, api_key=None) as client,
    ):
        with pytest.raises(NotFoundError):
            await client.assistants.get("approval")
        assert (await client.threads.create())["status"] == "idle"


async def test_a_declared_checkpointer_is_used_and_a_graphs_own_is_replaced_with_a_warning(
    stack, tmp_path, caplog
):
    (tmp_path / "savers.py").write_text(SAVERS)
    function = f"{tmp_path}/savers.py"
    settings = with_graphs(stack.settings)
    declared = {"own": AssistantSettings(function=f"{function}:own", kind="graph")}
    changes = {"assistants": declared, "graphs": GraphSettings(checkpointer=f"{function}:saver")}
    settings = settings.model_copy(update=changes)
    with caplog.at_level(logging.WARNING, logger="jetrun.graphs"):
        async with (
            running_gateway(settings) as gateway,
            worker_here(settings),
            get_client(url=gateway.url, api_key=None) as client,
        ):
            thread = await client.threads.create()
            for _ in range(2):
                final = await client.runs.wait(thread["thread_id"], "own", input={"a": 1})
            state = await client.threads.get_state(thread["thread_id"])
    assert final["seen"] == 1
    assert state["values"] == final
    assert [each.message for each in caplog.records] == ["graph.own_checkpointer_replaced"]
    assert await stack.gateway.bridge.checkpoints.keys(thread["thread_id"]) == []
