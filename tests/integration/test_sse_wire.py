import asyncio
import json

import pytest

from api.app import drain

HEARTBEAT = b": hb\n"


async def test_an_event_is_one_block_of_id_event_and_one_line_of_data(open_run, http, wire):
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        birth = await frames.next()
        event_id = await open_run.publish("updates", {"text": "a\nb\u2028\u00e9"})
        block = await frames.next()
    assert birth.startswith(b"id: ")
    assert block == (
        f'id: {event_id}\nevent: updates\ndata: {{"text":"a\\nb\u2028\u00e9"}}\n\n'.encode()
    )


async def test_the_first_event_is_the_metadata_of_the_run(open_run, http, wire):
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        first = await frames.next_event()
    assert first["event"] == "metadata"
    assert first["data"] == {
        "run_id": open_run.run_id,
        "thread_id": open_run.thread_id,
        "attempt": 1,
    }


async def test_a_stream_has_the_headers_that_proxies_and_sdks_need(open_run, http, wire):
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        headers = frames.response.headers
    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Content-Location"] == open_run.path
    assert headers["Location"] == f"{open_run.path}/stream"


@pytest.mark.parametrize("path", ["/threads/{thread}/runs/stream", "/runs/stream"])
async def test_creating_a_stream_names_the_run_exactly(open_run, http, path):
    target = path.format(thread=open_run.thread_id)
    async with http.post(target, json={"assistant_id": "echo"}) as answer:
        headers = answer.headers
        assert answer.status == 200
        content_location = headers["Content-Location"]
        _, threads, _, runs, run_id = content_location.split("/")
        assert (threads, runs) == ("threads", "runs")
        assert len(run_id) == 36
        assert headers["Location"] == f"{content_location}/stream"
        assert headers["Content-Type"] == "text/event-stream"


async def test_a_heartbeat_is_a_comment_with_one_newline_and_comes_regularly(
    start_gateway, open_run, wire, new_session
):
    gateway = await start_gateway(heartbeat_s=0.05)
    http = await new_session(gateway.url)
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        await frames.next()
        assert [await frames.next() for _ in range(4)] == [HEARTBEAT] * 4


async def test_heartbeats_go_on_while_all_events_are_of_other_modes(
    start_gateway, open_run, wire, new_session
):
    gateway = await start_gateway(heartbeat_s=0.05)
    http = await new_session(gateway.url)

    async def keep_publishing():
        while True:
            await open_run.publish("updates", {})

    path = f"{open_run.path}/stream?stream_mode=values"
    async with wire.read(http, path) as frames:
        await frames.next()
        publishing = asyncio.create_task(keep_publishing())
        assert [await frames.next() for _ in range(3)] == [HEARTBEAT] * 3
        publishing.cancel()


async def test_the_last_block_tells_an_event_source_to_stay_away(open_run, http, wire):
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        await frames.next()
        event_id = await open_run.end()
        rest = await frames.rest()
    assert rest == f"id: {event_id}\nevent: end\nretry: 86400000\ndata: null\n\n".encode()


@pytest.mark.parametrize("kind", ["end", "cancel"])
async def test_success_and_cancel_are_shown_as_end_alone(open_run, http, wire, kind):
    await open_run.end(kind, {"status": "success", "outputs": None, "error": None})
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        events = wire.events(await frames.rest())
    assert [event["event"] for event in events] == ["metadata", "end"]


@pytest.mark.parametrize(
    ("kind", "data", "shown"),
    [
        (
            "error",
            {"status": "error", "outputs": None, "error": {"error": "KeyError", "message": "'x'"}},
            {"error": "KeyError", "message": "'x'"},
        ),
        (
            "dead_letter",
            {"reason": "worker_lost", "timestamp": "2026-11-20T00:00:00Z"},
            {"error": "DeadLetter", "message": "worker_lost"},
        ),
    ],
)
async def test_failures_are_shown_as_error_and_then_end_with_one_id(
    open_run, http, wire, kind, data, shown
):
    event_id = await open_run.end(kind, data)
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        *_, error, end = wire.events(await frames.rest())
    assert error == {"id": event_id, "event": "error", "data": shown}
    assert end == {"id": event_id, "event": "end", "retry": "86400000", "data": None}


async def test_the_state_is_final_before_the_end_is_visible(open_run, http, wire):
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        await frames.next()
        outputs = await open_run.publish("values", {"answer": 42}, category="outputs")
        await open_run.end("end", {"status": "success", "outputs": outputs, "error": None})
        while (await frames.next_event())["event"] != "end":
            pass
        async with http.get(open_run.path) as answer:
            assert (await answer.json())["status"] == "success"
        async with http.get(f"/threads/{open_run.thread_id}/state") as answer:
            assert (await answer.json())["values"] == {"answer": 42}
        async with http.get(f"/threads/{open_run.thread_id}") as answer:
            thread = await answer.json()
    assert (thread["status"], thread["values"]) == ("idle", {"answer": 42})


async def test_a_reader_that_has_the_terminal_event_gets_the_end_at_once(open_run, http, wire):
    event_id = await open_run.end()
    headers = {"Last-Event-ID": event_id}
    async with wire.read(http, f"{open_run.path}/stream", headers=headers) as frames:
        events = wire.events(await frames.rest())
    assert events == [{"id": event_id, "event": "end", "retry": "86400000", "data": None}]


@pytest.mark.parametrize("cursor", [None, "", "-1", "-", "0", "0-0"])
async def test_these_cursors_mean_from_the_start(open_run, http, wire, cursor):
    await open_run.publish("updates", 1)
    await open_run.end()
    headers = {} if cursor is None else {"Last-Event-ID": cursor}
    async with wire.read(http, f"{open_run.path}/stream", headers=headers) as frames:
        events = wire.events(await frames.rest())
    assert [event["event"] for event in events] == ["metadata", "updates", "end"]


async def test_a_cursor_may_stand_in_the_query_and_the_header_wins(open_run, http, wire):
    first = await open_run.publish("updates", 1)
    second = await open_run.publish("updates", 2)
    await open_run.end()
    path = f"{open_run.path}/stream?last_event_id={first}"
    async with wire.read(http, path) as frames:
        by_query = wire.events(await frames.rest())
    async with wire.read(http, path, headers={"Last-Event-ID": second}) as frames:
        by_header = wire.events(await frames.rest())
    assert [event["data"] for event in by_query] == [2, None]
    assert [event["data"] for event in by_header] == [None]


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [("nonsense", "invalid"), ("99999999-3", "unknown"), ("\u00fc" * 200, "invalid")],
)
async def test_a_cursor_that_cannot_be_honoured_is_told_by_a_gap_without_an_id(
    open_run, http, wire, cursor, reason
):
    last = await open_run.end()
    headers = {"Last-Event-ID": cursor}
    async with wire.read(http, f"{open_run.path}/stream", headers=headers) as frames:
        block = await frames.next()
        rest = wire.events(await frames.rest())
    assert block.startswith(b"event: gap\ndata: {")
    told = json.loads(block.split(b"data: ")[1])
    requested = told.pop("requested_event_id")
    assert requested == cursor or len(requested) == 64
    assert told == {
        "code": "stream_replay_gap",
        "reason": reason,
        "missing": None,
        "run_id": open_run.run_id,
        "earliest_available_event_id": rest[0]["id"],
        "latest_available_event_id": last,
    }
    assert [event["event"] for event in rest] == ["metadata", "end"]


async def test_a_gap_counts_exactly_what_retention_took(gateway, open_run, http, wire):
    first = await open_run.publish("updates", 1)
    for number in range(2, 8):
        await open_run.publish("updates", number)
    await gateway.bridge.trim(open_run.run_id, keep=2)
    headers = {"Last-Event-ID": first}
    async with wire.read(http, f"{open_run.path}/stream", headers=headers) as frames:
        gap, sixth, seventh = [await frames.next_event() for _ in range(3)]
    assert (gap["data"]["reason"], gap["data"]["missing"]) == ("evicted", 4)
    assert (sixth["data"], seventh["data"]) == (6, 7)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["updates", "values", "messages|sub:1", "token", "values"]),
        ("stream_mode=", ["updates", "values", "messages|sub:1", "token", "values"]),
        ("stream_mode=*", ["updates", "values", "messages|sub:1", "token", "values"]),
        ("stream_mode=values", ["values", "values"]),
        ("stream_mode=updates&stream_mode=custom", ["updates", "token"]),
        ("stream_mode=updates,token", ["updates", "token"]),
        ('stream_mode=["messages-tuple","updates"]', ["updates", "messages|sub:1"]),
    ],
)
async def test_a_reader_chooses_modes_in_every_form_that_clients_send(
    open_run, http, wire, query, shown
):
    for event in ("updates", "values", "messages|sub:1", "token"):
        await open_run.publish(event, event)
    await open_run.publish("values", {}, category="outputs")
    await open_run.end()
    async with wire.read(http, f"{open_run.path}/stream?{query}") as frames:
        names = [event["event"] for event in wire.events(await frames.rest())]
    assert names == ["metadata", *shown, "end"]


async def test_a_new_stream_shows_values_unless_its_creator_asks_for_more(gateway, http, wire):
    async with http.post("/threads", json={}) as answer:
        thread_id = (await answer.json())["thread_id"]
    body = {"assistant_id": "echo"}
    async with http.post(f"/threads/{thread_id}/runs/stream", json=body) as response:
        run_id = response.headers["Content-Location"].rpartition("/")[2]
        await gateway.bridge.publish(run_id, "updates", 1)
        await gateway.bridge.publish(run_id, "values", 2)
        await gateway.bridge.publish_end(run_id)
        events = wire.events(await wire.Frames(response).rest())
    assert [event["event"] for event in events] == ["metadata", "values", "end"]


async def test_a_run_is_found_for_streaming_without_its_thread(open_run, http, wire):
    await open_run.end()
    async with wire.read(http, f"/runs/{open_run.run_id}/stream") as frames:
        assert frames.response.headers["Location"] == f"{open_run.path}/stream"
        assert [event["event"] for event in wire.events(await frames.rest())] == ["metadata", "end"]


async def test_shutting_down_ends_streams_between_events_and_another_gateway_goes_on(
    start_gateway, open_run, wire, new_session
):
    leaving, staying = await start_gateway(), await start_gateway()
    path = f"{open_run.path}/stream"
    async with wire.read(await new_session(leaving.url), path) as frames:
        await frames.next()
        event_id = await open_run.publish("updates", 1)
        assert (await frames.next_event())["id"] == event_id
        stopping = asyncio.ensure_future(leaving.stop())
        assert await frames.rest() == b""
        await stopping
    last = await open_run.publish("updates", 2)
    headers = {"Last-Event-ID": event_id}
    async with wire.read(await new_session(staying.url), path, headers=headers) as frames:
        assert (await frames.next_event())["id"] == last


async def test_a_gateway_that_drains_is_alive_but_not_ready(gateway, http):
    async with http.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ready", "archive": None})
    await drain(gateway.app, 1)
    async with http.get("/readyz") as answer:
        assert (answer.status, (await answer.json())["code"]) == (503, "gateway-closing")
    async with http.get("/livez") as answer:
        assert answer.status == 200


async def test_too_many_streams_are_refused_before_a_run_is_made_and_told_in_band_after(
    start_gateway, open_run, wire, new_session
):
    gateway = await start_gateway(max_streams=1)
    http = await new_session(gateway.url)
    async with wire.read(http, f"{open_run.path}/stream") as held:
        await held.next()
        async with wire.read(http, f"{open_run.path}/stream") as frames:
            assert await frames.rest() == (
                b": 1 streams are open, the limit of this gateway; try again\n"
            )
        path = f"/threads/{open_run.thread_id}/runs"
        async with http.post(f"{path}/stream", json={"assistant_id": "echo"}) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert (await answer.json())["code"] == "too-many-streams"
        async with http.get(path) as answer:
            assert [run["run_id"] for run in await answer.json()] == [open_run.run_id]
