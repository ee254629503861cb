"""A create that was answered 503 and is repeated makes exactly one run."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cutting_proxy import CuttingProxy
from langgraph_sdk import get_client
from langgraph_sdk.errors import InternalServerError

pytestmark = pytest.mark.usefixtures("worker")

# npm 2.0.0 repeats a POST that was answered 503, and no other SDK does.
REPEATS = "sdk-2.0.0"


async def test_a_gateway_without_its_log_refuses_and_the_repeat_makes_one_run(
    gateway, server, open_js
):
    js = await open_js(REPEATS, gateway.url)
    thread_id = (await js.call("threads.create", {}))["thread_id"]
    await server.kill()
    creating = asyncio.create_task(js.call("runs.create", thread_id, "echo", {"input": 1}))
    await asyncio.wait([creating], timeout=2)
    await server.restart()
    async with asyncio.timeout(60):
        run = await creating
    assert await js.call("runs.join", thread_id, run["run_id"]) == 1
    assert [each["run_id"] for each in await js.call("runs.list", thread_id)] == [run["run_id"]]


async def test_a_gateway_that_is_full_refuses_and_the_repeat_makes_one_run(
    start_gateway, new_session, wire, open_js
):
    gateway = await start_gateway(max_streams=1)
    http = await new_session(gateway.url)
    holding = await wire.create_run(gateway, http, input={"sleep_s": 60})
    path = (await wire.create_run(gateway, http, input={"before": 1})).path.partition("/runs")[0]
    async with CuttingProxy(gateway.url) as proxy:
        js = await open_js(REPEATS, proxy.url)
        async with wire.read(http, f"{holding.path}/stream") as frames:
            await frames.next_event()
            was_answered = asyncio.Event()
            proxy.on_answer = lambda _wire: was_answered.set()
            body = {"input": {"a": 1}}
            asked = ("runs.stream", path.rpartition("/")[2], "echo", body)
            reading = asyncio.create_task(js.collect(*asked))
            async with asyncio.timeout(20):
                await was_answered.wait()
        parts = await reading
    await http.post(f"{holding.path}/cancel", params={"wait": "1"})
    async with http.get(f"{path}/runs") as answer:
        (run, _) = await answer.json()
    assert [part["event"] for part in parts] == ["metadata", "values", "end"]
    assert parts[0]["data"]["run_id"] == run["run_id"]


@asynccontextmanager
async def losing_balancer(url, path):
    """A load balancer that passes on what is posted to a path, and loses the first answer."""
    seen = []

    async def handle(request):
        seen.append(request)
        body = await request.read()
        passed = {"headers": request.headers, "data": body}
        async with aiohttp.request("POST", f"{url}{path}", **passed) as answer:
            content = await answer.read()
        if len(seen) == 1:
            raise web.HTTPServiceUnavailable
        kept = {name: answer.headers[name] for name in ("Content-Type", "Content-Location")}
        return web.Response(body=content, status=answer.status, headers=kept)

    app = web.Application()
    app.router.add_post(path, handle)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize("method", ["runs.create", "runs.wait", "runs.stream"])
async def test_an_answer_that_was_lost_on_its_way_is_given_again_to_who_sends_a_key(
    gateway, open_js, method
):
    direct = await open_js(REPEATS, gateway.url)
    thread_id = (await direct.call("threads.create", {}))["thread_id"]
    path = f"/threads/{thread_id}/runs{'' if method == 'runs.create' else '/' + method[5:]}"
    async with losing_balancer(gateway.url, path) as url:
        js = await open_js(REPEATS, url, "keys")
        body = {"input": {"a": 1}}
        if method == "runs.stream":
            await js.collect(method, thread_id, "echo", body)
        else:
            await js.call(method, thread_id, "echo", body)
    assert len(await direct.call("runs.list", thread_id)) == 1


async def test_a_python_program_repeats_with_its_key_and_has_one_run(gateway):
    async with get_client(url=gateway.url, api_key=None) as direct:
        thread_id = (await direct.threads.create())["thread_id"]
        async with (
            losing_balancer(gateway.url, f"/threads/{thread_id}/runs") as url,
            get_client(url=url, api_key=None) as client,
        ):
            options = {"input": {"a": 1}, "headers": {"Idempotency-Key": "order 7"}}
            with pytest.raises(InternalServerError):
                await client.runs.create(thread_id, "echo", **options)
            run = await client.runs.create(thread_id, "echo", **options)
        assert [each["run_id"] for each in await direct.runs.list(thread_id)] == [run["run_id"]]
