"""``threads.stream`` of the unmodified npm SDK: several turns with graphs on one connection."""

import asyncio

import pytest
from graph_stack import running_stack, said

from bridge import new_id


@pytest.fixture
async def stack(tmp_path):
    async with running_stack(tmp_path) as running:
        yield running


async def played(js, graph, turns):
    thread_id = (await js.call("threads.create", {"threadId": new_id()}))["thread_id"]
    events = await js.collect("threads.stream", thread_id, {"assistantId": graph}, turns)
    phases = [
        event["params"]["data"]["event"]
        for event in events
        if event["method"] == "lifecycle" and not event["params"]["namespace"]
    ]
    return events, phases


async def test_turns_with_the_npm_sdk(stack, open_js):
    js = await open_js("sdk-1.15.0", stack.gateway.url)
    async with asyncio.timeout(60):
        events, phases = await played(js, "chat", [{"input": said("a b")}, {"input": said("c")}])
        assert phases == ["running", "completed"] * 2
        pieces = [
            event["params"]["data"]["delta"]["text"]
            for event in events
            if event["params"]["data"].get("event") == "content-block-delta"
        ]
        assert pieces == ["you ", "said ", "a ", "b ", "you ", "said ", "c "]

        turns = [{"input": {"log": ["x"]}}, {"response": "yes"}]
        events, phases = await played(js, "approval", turns)
        assert phases == ["running", "interrupted", "running", "completed"]
        values = [event["params"]["data"] for event in events if event["method"] == "values"]
        assert values[-1] == {"log": ["x", "before", "answered yes", "after"]}
        assert len({event["event_id"] for event in events}) == len(events)
