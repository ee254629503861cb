"""Runs that are replaced, cancelled, left, delayed and forgotten, by each SDK."""

import asyncio
import time

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def status_of(client, thread_id, run_id):
    return (await client.call("runs.get", thread_id, run_id))["status"]


async def test_reject_refuses_a_second_run_and_leaves_the_first_alone(client, thread_id, start):
    run_id = await start()
    with client.refused(409):
        await client.call("runs.create", thread_id, "echo", multitask_strategy="reject")
    assert await status_of(client, thread_id, run_id) == "running"
    await client.call("runs.cancel", thread_id, run_id, wait=True)


async def test_enqueue_executes_runs_one_after_the_other(client, thread_id):
    first = await client.call("runs.create", thread_id, "echo", input={"n": 1, "sleep_s": 0.3})
    options = {"input": {"n": 2}, "multitask_strategy": "enqueue"}
    second = await client.call("runs.create", thread_id, "echo", **options)
    assert second["status"] == "pending"
    assert (await client.call("runs.join", thread_id, second["run_id"]))["n"] == 2
    assert await status_of(client, thread_id, first["run_id"]) == "success"
    state = await client.call("threads.get_state", thread_id)
    assert state["values"]["n"] == 2


async def test_interrupt_stops_the_first_run_and_keeps_it(client, thread_id, start):
    run_id = await start()
    options = {"input": [2], "multitask_strategy": "interrupt"}
    assert await client.call("runs.wait", thread_id, "echo", **options) == [2]
    assert await status_of(client, thread_id, run_id) == "interrupted"


async def test_rollback_stops_the_first_run_and_leaves_no_trace_of_it(client, thread_id, start):
    await client.call("runs.wait", thread_id, "slow", input={"steps": 1})
    run_id = await start()
    options = {"input": {"steps": 2}, "multitask_strategy": "rollback"}
    final = await client.call("runs.wait", thread_id, "slow", **options)
    assert final["done"] == [1, 2]
    with client.refused(404):
        await client.call("runs.get", thread_id, run_id)


async def test_a_cancel_that_waits_returns_when_the_run_has_ended(client, thread_id, start):
    run_id = await start()
    await client.call("runs.cancel", thread_id, run_id, wait=True)
    assert await status_of(client, thread_id, run_id) == "interrupted"
    assert (await client.call("threads.get", thread_id))["status"] == "interrupted"


async def test_a_cancel_that_does_not_wait_is_accepted_again_and_again(
    client, thread_id, start, eventually
):
    run_id = await start()
    for _ in range(3):
        await client.call("runs.cancel", thread_id, run_id)

    async def is_interrupted():
        return await status_of(client, thread_id, run_id) == "interrupted"

    await eventually(is_interrupted)
    await client.call("runs.cancel", thread_id, run_id)


async def test_a_cancel_by_rollback_removes_the_run(client, thread_id, start):
    await client.call("runs.wait", thread_id, "echo", input={"before": 1})
    run_id = await start()
    await client.call("runs.cancel", thread_id, run_id, wait=True, action="rollback")
    with client.refused(404):
        await client.call("runs.get", thread_id, run_id)
    assert (await client.call("threads.get_state", thread_id))["values"] == {"before": 1}


async def test_a_run_that_waits_in_line_is_cancelled_without_disturbing_the_others(
    client, thread_id, start
):
    running = await start()
    waiting = await client.call("runs.create", thread_id, "echo", input=2)
    await client.call("runs.cancel", thread_id, waiting["run_id"], wait=True)
    assert await status_of(client, thread_id, waiting["run_id"]) == "interrupted"
    assert await status_of(client, thread_id, running) == "running"
    await client.call("runs.delete", thread_id, running)
    with client.refused(404):
        await client.call("runs.get", thread_id, running)


async def test_who_reads_a_run_may_cancel_it_by_leaving(client, thread_id, eventually):
    run = await client.call("runs.create", thread_id, "echo", input={"sleep_s": 60})
    asked = [thread_id, run["run_id"]]
    await client.read("runs.join_stream", *asked, stop_after=2)
    assert await status_of(client, *asked) == "running"
    await client.read("runs.join_stream", *asked, cancel_on_disconnect=True, stop_after=2)

    async def is_interrupted():
        return await status_of(client, *asked) == "interrupted"

    await eventually(is_interrupted)


@pytest.mark.parametrize("mode", ["cancel", "continue"])
async def test_a_run_whose_creator_leaves_ends_or_goes_on_as_that_one_wished(
    client, thread_id, eventually, mode
):
    given = {"events": 1, "sleep_s": 60 if mode == "cancel" else 0.5}
    options = {"input": given, "stream_mode": "custom", "on_disconnect": mode}
    parts = await client.read("runs.stream", thread_id, "echo", stop_after=2, **options)
    run_id = parts[0].data["run_id"]
    expected = "interrupted" if mode == "cancel" else "success"

    async def has_ended():
        return await status_of(client, thread_id, run_id) == expected

    await eventually(has_ended)


async def test_a_delayed_run_begins_when_its_time_has_come(client, thread_id):
    began = time.monotonic()
    options = {"input": {"n": 1}, "after_seconds": 1}
    run = await client.call("runs.create", thread_id, "echo", **options)
    assert run["status"] == "pending"
    assert (await client.call("runs.join", thread_id, run["run_id"]))["n"] == 1
    assert time.monotonic() - began >= 1


async def test_the_thread_of_a_stateless_run_goes_or_stays_as_was_asked_for(client, eventually):
    threads = {}
    for mode in ("delete", "keep"):
        options = {"input": {"n": 1}, "on_completion": mode}
        parts = await client.read("runs.stream", None, "echo", **options)
        assert [part.event for part in parts] == ["metadata", "values", "end"]
        threads[mode] = parts[0].data["thread_id"]

    async def is_gone():
        return await client.call("threads.search", ids=[threads["delete"]]) == []

    await eventually(is_gone)
    with client.refused(404):
        await client.call("threads.get", threads["delete"])
    assert (await client.call("threads.get_state", threads["keep"]))["values"] == {"n": 1}


async def test_stateless_runs_of_one_moment_do_not_see_each_other(client):
    calls = [client.call("runs.wait", None, "echo", input={"n": n}) for n in range(8)]
    assert await asyncio.gather(*calls) == [{"n": n} for n in range(8)]
