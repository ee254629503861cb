"""Streams of threads when something is missing, late or away: told, cut and gone on with."""

import asyncio
import json

import aiohttp
import pytest

from bridge import BridgeClosedError, JetStreamBridge


async def opened(http, thread_id, **wanted):
    body = {"channels": ["custom", "lifecycle"], **wanted}
    return await http.post(f"/threads/{thread_id}/stream/events", json=body)


async def told(response, count):
    """Return the next envelopes of a stream."""
    found = []
    async with asyncio.timeout(20):
        async for line in response.content:
            if line.startswith(b"data:"):
                found.append(json.loads(line[5:]))
            if len(found) == count:
                break
    return found


def phase(event):
    return event["params"]["data"].get("event") or event["params"]["data"]["payload"]


async def test_events_that_neither_log_nor_archive_hold_are_told_as_missing(
    gateway, http, open_run
):
    ids = [await open_run.publish("step", number) for number in range(20)]
    seq = int(ids[2].split("-")[0])
    await gateway.bridge.trim(open_run.run_id, keep=5)
    async with await opened(http, open_run.thread_id, since=seq) as response:
        first, *rest = await told(response, 6)
    assert (first["type"], first["error"]) == ("error", "unknown_error")
    assert open_run.run_id in first["message"]
    assert [phase(event) for event in rest] == list(range(15, 20))


async def test_a_run_that_is_cancelled_and_one_that_waits_in_line_are_told_in_order(http, open_run):
    async with await opened(http, open_run.thread_id) as response:
        path = f"/threads/{open_run.thread_id}/runs"
        async with http.post(path, json={"assistant_id": "echo"}) as answer:
            second = (await answer.json())["run_id"]
        await open_run.publish("step", 1)
        async with http.post(f"{path}/{open_run.run_id}/cancel?wait=1") as answer:
            assert answer.status == 200
        events = await told(response, 4)
    assert [phase(event) for event in events] == ["running", "running", 1, "interrupted"]
    assert events[1]["params"]["data"]["run_id"] == second


async def test_a_gateway_that_closes_cuts_the_stream_so_that_its_client_comes_again(
    gateway, http, open_run
):
    await open_run.publish("step", 1)
    async with await opened(http, open_run.thread_id) as response:
        assert [phase(event) for event in await told(response, 2)] == ["running", 1]
        stopping = asyncio.create_task(gateway.stop())
        with pytest.raises(aiohttp.ClientError):
            await told(response, 1)
        await stopping


async def test_a_gateway_without_room_sends_clients_of_a_thread_away_to_come_again(
    start_gateway, new_session, open_run
):
    http = await new_session((await start_gateway(max_streams=1)).url)
    path = f"/threads/{open_run.thread_id}/stream?stream_mode=custom"
    async with http.get(path) as first:
        assert (await first.content.readline()).startswith(b"id: ")
        async with http.get(path, headers={"Last-Event-ID": "5-2"}) as second:
            assert second.status == 200
            assert second.headers["Location"] == f"{path}&last_event_id=5-2"
            assert (await second.content.readline()).startswith(b": ")
            with pytest.raises(aiohttp.ClientError):
                await second.content.read()


async def test_a_follower_goes_on_when_the_server_was_killed_and_restarted(
    settings, server, open_run
):
    found = []
    async with (
        JetStreamBridge(settings.bridge) as bridge,
        bridge.follow_thread(open_run.thread_id, heartbeat_interval=0.2) as following,
        asyncio.TaskGroup() as group,
        asyncio.timeout(60),
    ):

        async def publish():
            await open_run.publish("step", 1)
            await server.kill()
            await server.restart()
            await open_run.publish("step", 2)

        group.create_task(publish())
        async for batch in following.batches(0):
            found += [event.event for event in batch]
            if len(found) >= 3:
                break
    assert found == ["metadata", "step", "step"]


async def test_a_follower_misses_nothing_without_any_live_message(settings, open_run, monkeypatch):
    monkeypatch.setattr("bridge.thread_follower.ThreadTail._on_message", lambda *_: None)
    monkeypatch.setattr("bridge.shared_feed._LOOK_SHARED_S", 0.0)
    found = []
    async with (
        JetStreamBridge(settings.bridge) as bridge,
        bridge.follow_thread(open_run.thread_id, heartbeat_interval=0.05) as following,
        asyncio.TaskGroup() as group,
        asyncio.timeout(30),
    ):
        group.create_task(open_run.publish("step", 1))
        async for batch in following.batches(0):
            found += [event.event for event in batch]
            if len(found) >= 2:
                break
    assert found == ["metadata", "step"]


async def test_a_bridge_that_closes_ends_its_followers(settings, open_run):
    bridge = JetStreamBridge(settings.bridge)
    await bridge.start()
    async with bridge.follow_thread(open_run.thread_id) as following:
        batches = following.batches(0)
        await anext(batches)
        waiting = asyncio.create_task(anext(batches))
        await bridge.close()
        with pytest.raises(BridgeClosedError):
            await waiting
