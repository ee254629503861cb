"""Waiting for final values: one JSON document, however long it takes and whatever is cut."""

import asyncio
import json

import aiohttp
import pytest

ECHO = {"assistant_id": "echo"}
SUCCESS = {"status": "success", "outputs": None, "error": None}


async def test_headers_come_at_once_and_newlines_keep_the_answer_alive(
    start_gateway, new_session, wire
):
    gateway = await start_gateway(heartbeat_s=0.05)
    http = await new_session(gateway.url)
    async with http.post("/runs/wait", json=ECHO) as answer:
        path = answer.headers["Content-Location"]
        assert answer.headers["Location"] == f"{path}/join"
        assert answer.headers["Content-Type"] == "application/json"
        assert await answer.content.readexactly(3) == b"\n\n\n"
        run = wire.OpenRun(gateway, *path.split("/")[2::2])
        outputs = await run.publish("values", {"a": 1}, category="outputs")
        await run.end("end", {**SUCCESS, "outputs": outputs})
        assert json.loads(await answer.read()) == {"a": 1}


@pytest.mark.parametrize(
    ("kind", "data", "error"),
    [
        (
            "error",
            {"status": "error", "error": {"error": "KeyError", "message": "x"}},
            {"error": "KeyError", "message": "x"},
        ),
        ("dead_letter", {"reason": "lost"}, {"error": "DeadLetter", "message": "lost"}),
        ("cancel", None, None),
    ],
)
async def test_what_goes_wrong_is_told_in_the_document(open_run, http, kind, data, error):
    await open_run.end(kind, data)
    async with http.get(f"{open_run.path}/join") as answer:
        told = (await answer.json())["__error__"]
    assert told == error or (error is None and told["error"] == "RunInterruptedError")


async def test_a_finished_run_is_answered_at_once_and_again(open_run, http):
    outputs = await open_run.publish("values", [1], category="outputs")
    await open_run.end("end", {**SUCCESS, "outputs": outputs})
    for _ in range(2):
        async with http.get(f"{open_run.path}/join") as answer:
            assert await answer.json() == [1]


async def test_a_gateway_that_shuts_down_cuts_a_wait_so_that_its_client_asks_another_one(
    start_gateway, new_session, wire
):
    leaving, staying = await start_gateway(), await start_gateway()
    http = await new_session(leaving.url)
    async with http.post("/runs/wait", json={**ECHO, "on_disconnect": "cancel"}) as answer:
        location = answer.headers["Location"]
        stopping = asyncio.ensure_future(leaving.stop())
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
        await stopping
    run = wire.OpenRun(staying, *location.split("/")[2:5:2])
    outputs = await run.publish("values", 7, category="outputs")
    await run.end("end", {**SUCCESS, "outputs": outputs})
    async with (await new_session(staying.url)).get(location) as answer:
        assert await answer.json() == 7


async def test_a_cancel_that_waits_answers_with_the_ended_run(open_run, http):
    async with http.post(f"{open_run.path}/cancel?wait=true") as answer:
        assert (answer.status, (await answer.json())["status"]) == (200, "interrupted")
    async with http.post(f"{open_run.path}/cancel?wait=0") as answer:
        assert (answer.status, await answer.read()) == (202, b"")
