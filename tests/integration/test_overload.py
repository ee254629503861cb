"""A gateway with too much to do takes nothing new, and what it has goes on undisturbed."""

import asyncio
import os
import signal
from contextlib import suppress
from types import SimpleNamespace

import aiohttp
import pytest
from every_route import NAMES, NEED_NOT, ROUTES, filled

from api.limits.errors import OverloadedError
from api.limits.overload import OVERLOAD
from api.limits.settings import LimitSettings
from api.limits.shedding import NEW_WORK, STREAMS

ECHO = {"assistant_id": "echo"}
START = {"id": 1, "method": "run.start", "params": ECHO}


@pytest.fixture
async def overloaded(start_gateway, new_session):
    """A gateway that has always too much to do: its memory is more than it may hold."""
    gateway = await start_gateway(limits=LimitSettings(max_memory_bytes=1 << 20))
    http = await new_session(gateway.url)
    return http, gateway.app[OVERLOAD]


def is_refusing(overload):
    try:
        overload.check()
    except OverloadedError:
        return True
    return False


async def test_new_runs_and_streams_are_refused_and_everything_else_passes(
    overloaded, open_run, stored, eventually
):
    http, overload = overloaded
    await eventually(lambda: is_refusing(overload))
    assert ROUTES.keys() | NEED_NOT.keys() >= NEW_WORK
    ids = {**NAMES, "thread_id": open_run.thread_id, "run_id": open_run.run_id}
    before = await stored()
    for route in NEW_WORK:
        method, _, path = route.partition(" ")
        async with http.request(method, filled(path, ids), json=ECHO) as answer:
            told = (await answer.content.readline()).decode()
            if route in STREAMS:
                assert answer.status == 200
                assert told.startswith(": this gateway has too much to do")
            else:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), route
                assert '"overloaded"' in told
    async with http.post(f"/threads/{open_run.thread_id}/commands", json=START) as answer:
        assert answer.status == 503
    assert await stored() == before
    for path in ("/ok", "/livez", "/readyz", open_run.path, f"{open_run.path}/events"):
        async with http.get(path) as answer:
            assert answer.status == 200, path
    body = {"event": "updates", "data": 1}
    async with http.post(f"{open_run.path}/events", json=body) as answer:
        assert answer.status == 201
    async with http.post(f"{open_run.path}/cancel") as answer:
        assert answer.status == 202


async def test_when_nats_answers_too_slowly_no_more_is_begun(
    server, start_gateway, new_session, open_run, wire, eventually
):
    gateway = await start_gateway(limits=LimitSettings(max_unanswered_requests=10))
    http = await new_session(gateway.url)

    async def create():
        async with http.post("/runs", json=ECHO) as answer:
            return answer.status

    async with wire.read(http, f"{open_run.path}/stream") as frames:
        assert await frames.next_event()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            creating = [asyncio.create_task(create()) for _ in range(10)]
            await eventually(lambda: gateway.bridge.unanswered_requests >= 10)
            assert await create() == 503
            async with http.get("/livez") as answer:
                assert answer.status == 200
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert 200 in await asyncio.gather(*creating)  # each asks NATS several things
        event_id = await open_run.publish("updates", 1)
        assert (await frames.next_event())["id"] == event_id
        assert await create() == 200


async def load_until_refused(session):
    """Let two hundred clients create and search until one of them is refused."""
    statuses = []

    async def client():
        while 503 not in statuses:
            with suppress(aiohttp.ClientError):
                async with session.post("/runs/search", json={"limit": 1000}) as answer:
                    await answer.read()
                async with session.post("/runs", json=ECHO) as answer:
                    statuses.append(answer.status)

    async with asyncio.timeout(60):
        await asyncio.gather(*[client() for _ in range(200)])


async def test_a_gateway_whose_loop_is_late_takes_nothing_new_until_it_has_caught_up(
    start_gateway_process, bridge, new_session, wire, eventually
):
    limits = LimitSettings(max_loop_lag_s=0.05, loop_lag_for_s=0.2)
    gateway = await start_gateway_process(limits=limits)
    http = await new_session(gateway.url)
    run = await wire.create_run(SimpleNamespace(bridge=bridge), http)
    async with wire.read(http, f"{run.path}/stream") as frames:
        assert await frames.next_event()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(gateway.url, connector=connector) as session:
            loading = asyncio.create_task(load_until_refused(session))
            event_ids = [await run.publish("updates", n) for n in range(20)]
            await loading
            async with session.post(f"{run.path}/cancel") as answer:
                assert answer.status == 202
        assert [(await frames.next_event())["id"] for _ in event_ids] == event_ids

    async def takes_again():
        async with http.post("/runs", json=ECHO) as answer:
            return answer.status == 200

    await eventually(takes_again, within_s=30)
