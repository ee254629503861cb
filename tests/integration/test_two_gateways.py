"""Any gateway serves any run: nothing about a run lives in one of them."""

import pytest


@pytest.fixture
async def two(start_gateway, new_session):
    """Client sessions of two gateways on one NATS server."""
    first, second = await start_gateway(), await start_gateway()
    assert first.url != second.url
    return await new_session(first.url), await new_session(second.url)


async def create(http, given):
    async with http.post("/threads", json={}) as answer:
        thread_id = (await answer.json())["thread_id"]
    body = {"assistant_id": "echo", "input": given}
    async with http.post(f"/threads/{thread_id}/runs", json=body) as answer:
        return f"/threads/{thread_id}/runs/{(await answer.json())['run_id']}"


@pytest.mark.usefixtures("worker")
async def test_a_run_is_created_on_one_followed_and_resumed_on_the_other(two, wire):
    here, there = two
    path = await create(here, {"events": 40, "delay_s": 0.01})
    async with wire.read(there, f"{path}/stream") as frames:
        seen = [await frames.next_event() for _ in range(10)]
        frames.response.close()
    for http in (here, there, here):
        headers = {"Last-Event-ID": seen[-1]["id"]}
        async with wire.read(http, f"{path}/stream", headers=headers) as frames:
            seen += [await frames.next_event() for _ in range(10)]
            frames.response.close()
    headers = {"Last-Event-ID": seen[-1]["id"]}
    async with wire.read(there, f"{path}/stream", headers=headers) as frames:
        seen += wire.events(await frames.rest())
    assert [event["event"] for event in seen] == ["metadata", *["echo"] * 40, "values", "end"]
    assert [event["data"]["n"] for event in seen[1:41]] == list(range(1, 41))


@pytest.mark.usefixtures("worker")
async def test_a_run_is_cancelled_on_the_other_and_both_tell_its_end(two, wire):
    here, there = two
    path = await create(here, {"sleep_s": 60})
    async with wire.read(here, f"{path}/stream") as frames:
        while (await frames.next_event())["event"] != "echo":
            pass
        async with there.post(f"{path}/cancel?wait=1") as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "interrupted")
        assert wire.events(await frames.rest())[-1]["event"] == "end"
    async with here.get(path) as answer:
        assert (await answer.json())["status"] == "interrupted"


async def test_waiting_on_one_returns_what_ended_while_the_other_served_the_run(
    two, wire, start_gateway
):
    here, there = two
    path = await create(here, 1)
    worker = await start_gateway()
    open_run = wire.OpenRun(worker, *path.split("/")[2::2])
    async with there.get(f"{path}/join") as waiting:
        assert waiting.headers["Location"] == f"{path}/join"
        outputs = await open_run.publish("values", [1, 2], category="outputs")
        await open_run.end("end", {"status": "success", "outputs": outputs, "error": None})
        assert await waiting.json() == [1, 2]


async def test_an_idempotency_key_is_honoured_on_every_gateway_and_call(two):
    here, there = two
    body, headers = {"assistant_id": "echo"}, {"Idempotency-Key": "abc"}
    locations = set()
    for http in (here, there):
        for path in ("/runs", "/runs/stream", "/runs/wait"):
            async with http.post(path, json=body, headers=headers) as answer:
                assert answer.status == 200
                locations.add(answer.headers["Content-Location"])
    assert len(locations) == 1
    async with here.post("/runs", json={**body, "input": 1}, headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (409, "idempotency-key-used")
    async with here.post("/runs", json=body, headers={"Idempotency-Key": "x" * 257}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (422, "invalid-request")
