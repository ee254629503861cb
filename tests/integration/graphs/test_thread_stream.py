"""``client.threads.join_stream`` of the unmodified SDK: all runs of a thread on one connection."""

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest
from graph_stack import collect, said
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

from bridge import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


def is_done(part, run_id=None):
    is_end = part.event == "metadata" and part.data.get("status") == "run_done"
    return is_end and run_id in (None, part.data["run_id"])


@asynccontextmanager
async def joined(client, thread_id, **options):
    async with (
        asyncio.timeout(30),
        aclosing(await client.threads.join_stream(thread_id, **options)) as stream,
    ):
        yield stream


async def read(client, thread_id, until, **options):
    """Return the parts of a thread's stream up to the one that ``until`` is true of."""
    parts = []
    async with joined(client, thread_id, **options) as stream:
        async for part in stream:
            parts.append(part)
            if until(part):
                return parts
    raise AssertionError(f"the stream ended: {parts}")


async def run_to_end(client, thread_id, name, **options):
    run = await client.runs.create(thread_id, name, **options)
    await client.runs.join(thread_id, run["run_id"])
    return run["run_id"]


async def test_runs_come_one_after_the_other_and_each_cursor_gives_the_rest(client, thread_id):
    modes = {"stream_mode": ["updates", "custom"]}
    runs = [
        await run_to_end(client, thread_id, "chat", input=said("add 1 2"), **modes),
        await run_to_end(client, thread_id, "echo", input={"events": 3}, **modes),
        await run_to_end(client, thread_id, "echo", input={"fail": "broken"}, **modes),
    ]

    def is_last(part):
        return is_done(part, runs[-1])

    whole = await read(client, thread_id, is_last, last_event_id="-")
    births = [part.data for part in whole if part.event == "metadata" and "attempt" in part.data]
    assert [birth["run_id"] for birth in births] == runs
    done = [part.data for part in whole if is_done(part)]
    assert [each["run_id"] for each in done] == runs
    assert [each["error"] for each in done] == [
        None,
        None,
        {"error": "EchoError", "message": "broken"},
    ]
    # Of the graph what its creator asked for, of the function its own events, no final values.
    names = {part.event for part in whole}
    assert names == {"metadata", "updates", "custom", "echo"}
    assert len({part.id for part in whole}) == len(whole)
    for place, part in enumerate(whole[:-1]):
        rest = await read(client, thread_id, is_last, last_event_id=part.id)
        assert rest == whole[place + 1 :]


async def test_without_a_cursor_come_the_run_under_way_and_later_ones_but_no_earlier(
    stack, client, thread_id, wire
):
    await run_to_end(client, thread_id, "echo", input={"events": 3})
    async with wire.read(stack.http, f"/threads/{thread_id}/stream") as frames:
        busy = await client.runs.create(thread_id, "echo", input={"events": 2, "sleep_s": 60})
        run_id = busy["run_id"]
        first = [await frames.next_event() for _ in range(3)]
        assert first[0]["data"]["run_id"] == run_id
        assert [event["event"] for event in first] == ["metadata", "echo", "echo"]
    late = await read(client, thread_id, lambda part: part.event == "echo", stream_mode="custom")
    assert [(part.id, part.event) for part in late] == [
        (event["id"], event["event"]) for event in first[:2]
    ]
    await client.runs.cancel(thread_id, run_id, wait=True)


async def test_the_state_is_final_when_the_end_of_a_run_is_told(client, thread_id):
    async with joined(client, thread_id, stream_mode="lifecycle") as stream:
        for number in range(5):
            made = await client.runs.create(
                thread_id, "echo", input={"events": 2, "values": {"n": number}}
            )
            part = await anext(stream)
            while not is_done(part, made["run_id"]):
                assert part.event == "metadata"
                part = await anext(stream)
            assert (await client.runs.get(thread_id, made["run_id"]))["status"] == "success"
            assert (await client.threads.get_state(thread_id))["values"] == {"n": number}


async def test_texts_so_far_go_on_where_they_were(client, thread_id):
    modes = {"stream_mode": "messages"}
    run_id = await run_to_end(client, thread_id, "chat", input=said("one two three"), **modes)

    def is_last(part):
        return is_done(part, run_id)

    whole = await read(client, thread_id, is_last, last_event_id="-1")
    texts = [part.data[0]["content"] for part in whole if part.event == "messages/partial"]
    assert texts[-1] == "you said one two three "
    of_run = client.runs.join_stream(thread_id, run_id, last_event_id="-1", **modes)
    assert whole[:-1] == (await collect(of_run))[:-1]
    for place in range(len(whole) - 1):
        rest = await read(client, thread_id, is_last, last_event_id=whole[place].id)
        # What tells about a new message has the id of the event before it.
        assert rest[-(len(whole) - place - 1) :] == whole[place + 1 :]
        assert len(rest) <= len(whole) - place


async def say(stack, thread_id, run_id, word):
    """Store a piece of a message in a run that is under way."""
    chunk = {"type": "AIMessageChunk", "id": "m", "content": word}
    path = f"/threads/{thread_id}/runs/{run_id}/events"
    body = {"event": "messages", "data": [chunk, {}]}
    async with stack.http.post(path, json=body) as answer:
        assert answer.status == 201, await answer.text()


async def test_texts_so_far_are_whole_behind_the_birth_of_a_run_that_queues(
    stack, client, thread_id
):
    modes = {"stream_mode": "messages"}
    busy = await client.runs.create(thread_id, "echo", input={"events": 1, "sleep_s": 60})
    await read(client, thread_id, lambda part: part.event == "echo", stream_mode="custom")
    await say(stack, thread_id, busy["run_id"], "one ")
    queued = await client.runs.create(thread_id, "echo", input={})
    await say(stack, thread_id, busy["run_id"], "two")
    await client.runs.cancel(thread_id, busy["run_id"], wait=True)

    def is_last(part):
        return is_done(part, queued["run_id"])

    whole = await read(client, thread_id, is_last, last_event_id="-", **modes)
    place = next(
        number
        for number, part in enumerate(whole)
        if part.event == "metadata" and part.data["run_id"] == queued["run_id"]
    )
    texts = [part.data[0]["content"] for part in whole if part.event == "messages/partial"]
    assert texts == ["one ", "one two"]
    assert whole[place + 1].data[0]["content"] == "one two"
    rest = await read(client, thread_id, is_last, last_event_id=whole[place].id, **modes)
    assert rest == whole[place + 1 :]


@pytest.mark.parametrize(
    ("cursor", "reason"), [("no id", "invalid"), ("99999999-1", "unknown"), ("1-99", "unknown")]
)
async def test_a_cursor_that_cannot_be_honoured_is_told_and_all_is_shown(
    client, thread_id, cursor, reason
):
    run_id = await run_to_end(client, thread_id, "echo", input={"events": 2})
    whole = await read(client, thread_id, lambda part: is_done(part, run_id), last_event_id="-")
    gap, *rest = await read(
        client, thread_id, lambda part: is_done(part, run_id), last_event_id=cursor
    )
    assert (gap.event, gap.data["reason"], gap.data["missing"]) == ("gap", reason, None)
    assert (gap.data["requested_event_id"], gap.data["run_id"]) == (cursor, None)
    assert rest == whole


async def test_a_stream_ends_in_order_with_its_thread(stack, client, thread_id, wire):
    run = await client.runs.create(thread_id, "echo", input={"sleep_s": 60})
    async with wire.read(stack.http, f"/threads/{thread_id}/stream") as frames:
        assert (await frames.next_event())["data"]["run_id"] == run["run_id"]
        await client.threads.delete(thread_id)
        ended = wire.events(await frames.rest())[-1]["data"]
        assert (ended["status"], ended["run_id"]) == ("run_done", run["run_id"])


async def test_what_no_stream_can_show_is_refused_before_it_begins(client, thread_id):
    with pytest.raises(NotFoundError):
        await read(client, new_id(), is_done)
    for modes in ("state_update", ["run_modes", "state_update"]):
        with pytest.raises(UnprocessableEntityError, match="state_update"):
            await read(client, thread_id, is_done, stream_mode=modes)


async def test_a_name_without_a_cursor_takes_the_modes_of_threads_too(client, thread_id):
    run_id = await run_to_end(
        client, thread_id, "chat", input=said("hi"), stream_mode=["updates", "messages-tuple"]
    )
    named = {"params": {"subscription": new_id()}}
    whole = await read(client, thread_id, lambda part: is_done(part, run_id), **named)
    assert {part.event for part in whole} == {"metadata", "updates", "messages"}


async def test_any_number_of_readers_cost_no_consumer(stack, client, thread_id):
    run_id = await run_to_end(client, thread_id, "echo", input={"events": 50})
    before = await stack.gateway.bridge.list_consumers()
    reads = await asyncio.gather(
        *(
            read(client, thread_id, lambda part: is_done(part, run_id), last_event_id="-")
            for _ in range(10)
        )
    )
    assert all(each == reads[0] for each in reads)
    assert await stack.gateway.bridge.list_consumers() == before
