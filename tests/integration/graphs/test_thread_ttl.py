"""Threads that the unmodified SDK gives a time to live: other processes find and end them."""

from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

from bridge import JetStreamBridge
from runs import (
    AssistantCatalog,
    Expiry,
    ExpirySettings,
    GraphStates,
    ReadModel,
    RunManager,
    RunsFacade,
    ThreadUpkeep,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOMENT = 1e-6


@asynccontextmanager
async def expiry_elsewhere(stack, **limits):
    """What a gateway that is started now does about threads whose time is over."""
    catalog = AssistantCatalog(stack.settings.assistants)
    async with JetStreamBridge(stack.settings.bridge) as bridge:
        manager, model = RunManager(bridge, catalog), ReadModel(bridge.state_feed)
        facade = RunsFacade(manager, bridge, model)
        trim = ThreadUpkeep(facade, GraphStates(bridge, facade, catalog, 20)).keep_latest
        try:
            yield Expiry(model, manager, ExpirySettings(**limits), trim)
        finally:
            await model.close()


async def test_a_time_is_given_shown_changed_and_copied(client):
    made = await client.threads.create(ttl=60)
    thread_id = made["thread_id"]
    assert "ttl" not in await client.threads.get(thread_id)
    shown = (await client.threads.get(thread_id, include=["ttl"]))["ttl"]
    assert (shown["ttl_minutes"], shown["strategy"]) == (60, "delete")
    lives = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(made["updated_at"])
    assert lives.total_seconds() == 3600
    changed = {"ttl": 0.5, "strategy": "keep_latest"}
    await client.threads.update(thread_id, metadata={"a": 1}, ttl=changed)
    copied = await client.threads.copy(thread_id)
    for each in (thread_id, copied["thread_id"]):
        thread = await client.threads.get(each, include=["ttl"])
        assert thread["ttl"]["ttl_minutes"] == 0.5
        assert thread["ttl"]["strategy"] == "keep_latest"
        assert thread["metadata"] == {"a": 1}
    await client.threads.update(thread_id, metadata={})
    assert (await client.threads.get(thread_id, include=["ttl"]))["ttl"]["ttl_minutes"] == 0.5
    plain = await client.threads.create()
    assert (await client.threads.get(plain["thread_id"], include=["ttl"]))["ttl"] is None


async def test_a_thread_is_deleted_with_its_checkpoints_when_its_time_is_over(stack, client):
    thread_id = (await client.threads.create(ttl=MOMENT))["thread_id"]
    kept = (await client.threads.create(ttl=60))["thread_id"]
    for each in (thread_id, kept):
        await client.runs.wait(each, "approval", input={"log": []})
    async with expiry_elsewhere(stack) as expiry:
        assert await expiry.step() == 1
    with pytest.raises(NotFoundError):
        await client.threads.get(thread_id)
    assert await stack.gateway.bridge.checkpoints.keys(thread_id) == []
    assert len(await client.threads.get_history(kept, limit=50)) > 1


async def test_a_thread_keeps_its_newest_state_alone_when_that_was_wished(stack, client):
    ttl = {"ttl": MOMENT, "strategy": "keep_latest"}
    thread_id = (await client.threads.create(ttl=ttl))["thread_id"]
    await client.runs.wait(thread_id, "approval", input={"log": []})
    before = await client.threads.get_state(thread_id)
    async with expiry_elsewhere(stack) as expiry:
        assert [await expiry.step() for _ in range(2)] == [1, 0]
        assert (await client.threads.get_state(thread_id))["values"] == before["values"]
        assert len(await client.threads.get_history(thread_id, limit=50)) == 1
        shown = await client.threads.get(thread_id, include=["ttl"])
        assert (shown["ttl"]["expires_at"], shown["status"]) == (None, "interrupted")
        final = await client.runs.wait(thread_id, "approval", command={"resume": "yes"})
        assert final["log"][-1] == "after"
        assert await expiry.step() == 1
    assert len(await client.threads.get_history(thread_id, limit=50)) == 1


async def test_a_changed_state_begins_the_time_anew_and_a_run_under_way_stops_it(stack, client):
    thread_id = (await client.threads.create(ttl=60, graph_id="approval"))["thread_id"]
    begun = (await client.threads.get(thread_id, include=["ttl"]))["ttl"]["expires_at"]
    await client.threads.update_state(thread_id, {"log": ["x"]}, as_node="before")
    later = (await client.threads.get(thread_id, include=["ttl"]))["ttl"]["expires_at"]
    assert datetime.fromisoformat(later) > datetime.fromisoformat(begun)
    run = await client.runs.create(thread_id, "slow", input={"steps": 9, "step_s": 5})
    await client.threads.update(thread_id, metadata={}, ttl=MOMENT)
    async with expiry_elsewhere(stack) as expiry:
        assert await expiry.step() == 0
        await client.runs.cancel(thread_id, run["run_id"], wait=True)
        assert await expiry.step() == 1


@pytest.mark.parametrize(
    "ttl", [0, -1, 1e12, {"ttl": 5, "strategy": "archive"}, {"strategy": "delete"}, "soon"]
)
async def test_a_time_that_cannot_be_kept_is_refused(client, thread_id, ttl):
    with pytest.raises(UnprocessableEntityError, match="ttl"):
        await client.threads.create(ttl=ttl)
    with pytest.raises(UnprocessableEntityError, match="ttl"):
        await client.threads.update(thread_id, metadata={}, ttl=ttl)
    with pytest.raises(UnprocessableEntityError, match="include"):
        await client.threads.get(thread_id, include=["everything"])
