"""The NATS server goes away and comes back: streams go on, nobody gets an error for ever."""

import asyncio


async def test_a_stream_goes_on_after_the_server_was_killed(server, open_run, http, wire):
    path = f"{open_run.path}/stream"
    async with wire.read(http, path) as frames:
        await frames.next_event()
        first = await open_run.publish("updates", 1)
        assert (await frames.next_event())["id"] == first
        await server.kill()
        await server.restart()
        second = await open_run.publish("updates", 2)
        await open_run.end()
        rest = wire.events(await frames.rest())
    if [event["event"] for event in rest] != ["updates", "end"]:
        # The connection was ended in order: the client resumes with the last id it has.
        headers = {"Last-Event-ID": rest[-1]["id"] if rest else first}
        async with wire.read(http, path, headers=headers) as frames:
            rest += wire.events(await frames.rest())
    assert [event["event"] for event in rest] == ["updates", "end"]
    assert rest[0]["id"] == second


async def test_a_gateway_without_its_server_is_alive_and_not_ready(
    server, gateway, http, eventually
):
    await server.kill()
    await eventually(lambda: not gateway.bridge.is_connected)
    async with http.get("/livez") as answer:
        assert answer.status == 200
    async with http.get("/readyz") as answer:
        problem = await answer.json(content_type="application/problem+json")
        assert (answer.status, problem["code"]) == (503, "unavailable")
    await server.restart()

    async def is_ready():
        async with http.get("/readyz") as answer:
            return answer.status == 200

    await eventually(is_ready)


async def test_a_stream_that_cannot_be_opened_ends_in_order_instead_of_failing(
    server, settings, start_gateway, new_session, wire
):
    log = settings.log.model_copy(update={"outage_budget_s": 0.2, "request_timeout_s": 0.2})
    gateway = await start_gateway(log=log)
    http = await new_session(gateway.url)
    run = await wire.create_run(gateway, http)
    await server.kill()
    async with asyncio.timeout(10):
        for path in (f"{run.path}/stream", f"/runs/{run.run_id}/stream"):
            async with wire.read(http, path) as frames:
                told = await frames.rest()
            assert told.startswith(b": NATS did not answer")
            assert told.count(b"\n") == 1
        async with http.post("/threads", json={}) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
