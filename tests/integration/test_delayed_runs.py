"""Runs that are to begin later: they wait for their time, whatever dies meanwhile."""

import asyncio
from contextlib import suppress
from datetime import datetime

import pytest

from bridge import JetStreamBridge
from runs import RunSpec


async def created(http, path, **body):
    async with http.post(path, json={"assistant_id": "echo", **body}) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


@pytest.fixture
async def thread(http):
    async with http.post("/threads", json={}) as answer:
        return (await answer.json())["thread_id"]


async def run_of(http, run):
    async with http.get(f"/threads/{run['thread_id']}/runs/{run['run_id']}") as answer:
        return await answer.json() if answer.status == 200 else None


async def timers_of(bridge):
    subjects = await bridge._connection.api(
        "$JS.API.STREAM.INFO.JETRUN_TIMERS", {"subjects_filter": ">"}
    )
    return subjects["state"].get("subjects", {})


@pytest.mark.usefixtures("worker")
async def test_a_delayed_run_is_pending_until_its_time_and_holds_up_nobody(http, thread, gateway):
    path = f"/threads/{thread}/runs"
    later = await created(http, path, input={"n": 1}, after_seconds=1.5)
    assert later["status"] == "pending"
    first = await created(http, path, input={"n": 2})
    async with http.get(f"{path}/{first['run_id']}/join") as answer:
        assert (await answer.json())["n"] == 2
    async with http.get(f"{path}/{later['run_id']}/join") as answer:
        assert (await answer.json())["n"] == 1
    record = await gateway.facade.get_run(thread, later["run_id"])
    assert (await gateway.facade.get_run(thread, first["run_id"])).ended_at < record.started_at
    waited = (record.started_at - datetime.fromisoformat(later["created_at"])).total_seconds()
    assert waited >= 1.5


async def test_the_thread_of_a_delayed_run_is_busy_for_reject(http, thread):
    later = await created(http, f"/threads/{thread}/runs", after_seconds=60)
    body = {"assistant_id": "echo", "multitask_strategy": "reject"}
    async with http.post(f"/threads/{thread}/runs", json=body) as answer:
        assert answer.status == 409
        assert later["run_id"] in (await answer.json())["detail"]
    async with http.get(f"/threads/{thread}") as answer:
        assert (await answer.json())["status"] == "busy"


@pytest.mark.parametrize("way", ["interrupt", "rollback", "delete run", "delete thread"])
async def test_a_delayed_run_can_be_stopped_before_its_time_and_leaves_no_timer(
    http, thread, gateway, way
):
    later = await created(http, f"/threads/{thread}/runs", after_seconds=60)
    assert await timers_of(gateway.bridge)
    run = f"/threads/{thread}/runs/{later['run_id']}"
    request = {
        "interrupt": ("POST", f"{run}/cancel?wait=1"),
        "rollback": ("POST", f"{run}/cancel?wait=1&action=rollback"),
        "delete run": ("DELETE", run),
        "delete thread": ("DELETE", f"/threads/{thread}"),
    }[way]
    async with http.request(*request) as answer:
        assert answer.status in (200, 204), await answer.text()
    found = await run_of(http, later)
    assert (found and found["status"]) == ("interrupted" if way == "interrupt" else None)
    assert await timers_of(gateway.bridge) == {}
    if way != "delete thread":
        assert (await gateway.facade.get_thread(thread)).inflight_ids == ()


async def test_a_delayed_run_survives_the_end_of_every_process(
    server, settings, start_gateway, new_session, start_worker
):
    first = await start_gateway()
    http = await new_session(first.url)
    worker = await start_worker()
    later = await created(http, "/runs", input={"n": 7}, after_seconds=2, on_completion="keep")
    worker.kill()
    await worker.wait()
    await server.kill()
    await asyncio.sleep(2.2)  # its time comes while nobody is there
    await server.restart()
    await start_worker()
    async with JetStreamBridge(settings.bridge) as bridge, asyncio.timeout(30):
        events = []
        async with bridge.subscribe(later["run_id"]) as items:
            events = [getattr(item, "event", item) async for item in items]
    assert "end" in events


async def test_a_creator_that_died_before_it_set_the_timer_is_made_good(
    gateway, start_worker, monkeypatch
):
    async def dies(*_args, **_options):
        raise asyncio.CancelledError

    monkeypatch.setattr(gateway.bridge.timers, "set", dies)
    spec = RunSpec(assistant_id="echo", input={"n": 1}, after_seconds=0.5, on_completion="keep")
    with suppress(asyncio.CancelledError):
        await gateway.facade.create_background(spec)
    monkeypatch.undo()
    (found,), _ = await gateway.facade._manager.records.changed_threads(after=0)
    thread = found.record
    (run_id,) = thread.inflight_ids
    await start_worker()
    async with asyncio.timeout(30):
        assert (await gateway.facade.join_wait(thread.thread_id, run_id))["n"] == 1
