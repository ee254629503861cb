"""Webhooks over HTTP: a receiver of this machine, which a setting allows, is told of ended runs."""

import asyncio
import json
import runpy
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr
from roles import running_role

from api.settings import Role
from api.webhooks.address_policy import AddressPolicy
from api.webhooks.calling import policy_of
from api.webhooks.sender import open_sender
from api.webhooks.settings import WebhookSettings
from runs import Notice, WebhookSendError

RECEIVER = Path(__file__).parents[2] / "examples" / "webhook_receiver.py"
SECRET = "what sender and receiver share"
LOOPBACK = (ip_network("127.0.0.0/8"),)
QUICK = WebhookSettings(
    secret=SECRET,
    allowed_networks=LOOPBACK,
    timeout_s=0.5,
    lease_s=2,
    backoff_s=0.05,
    max_backoff_s=0.2,
    max_attempts=5,
)


class Receiver:
    """Notes all calls, and answers as it is told: one status or coroutine a call, then 200."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/hook?token=of-the-receiver"
        self.calls = []
        self.answers = []

    async def handle(self, request):
        self.calls.append((dict(request.headers), await request.read()))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, int):
            return web.Response(status=answer)
        return await answer()

    def bodies(self):
        return [json.loads(body) for _, body in self.calls]


@asynccontextmanager
async def serving(handle):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver():
    async def handle(request):
        return await made.handle(request)

    async with serving(handle) as port:
        made = Receiver(port)
        yield made


@pytest.fixture
async def http(start_gateway, new_session):
    return await new_session((await start_gateway(webhooks=QUICK)).url)


async def create(http, webhook, **body):
    async with http.post("/threads", json={}) as answer:
        thread_id = (await answer.json())["thread_id"]
    asked = {"assistant_id": "echo", "webhook": webhook, **body}
    async with http.post(f"/threads/{thread_id}/runs", json=asked) as answer:
        assert answer.status == 200, await answer.text()
        return f"/threads/{thread_id}/runs/{(await answer.json())['run_id']}"


async def webhook_of(http, run):
    async with http.get(f"{run}/webhook") as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def until(http, run, status, eventually, within_s=15):
    async def has_come():
        found = await webhook_of(http, run)
        return found if found["status"] == status else None

    return await eventually(has_come, within_s=within_s)


@pytest.mark.usefixtures("worker")
async def test_every_call_carries_the_headers_that_the_settings_name(
    start_gateway, new_session, receiver, eventually
):
    changed = {"headers": {"Authorization": SecretStr("Bearer a")}, "require_https": False}
    gateway = await start_gateway(webhooks=QUICK.model_copy(update=changed))
    http = await new_session(gateway.url)
    await until(http, await create(http, receiver.url), "delivered", eventually)
    ((headers, _),) = receiver.calls
    assert headers["Authorization"] == "Bearer a"


@pytest.mark.usefixtures("worker")
async def test_a_finished_run_is_told_once_with_its_values_and_a_signature(
    http, receiver, eventually
):
    verify = runpy.run_path(str(RECEIVER))["verify"]
    given = {"input": {"a": 1}, "metadata": {"api_key": "s3cret", "kept": 1}}
    run = await create(http, receiver.url, **given)
    state = await until(http, run, "delivered", eventually)
    assert (state["attempts"], state["error"]) == (1, None)
    ((headers, body),) = receiver.calls
    assert verify(headers, body, SECRET)
    assert not verify(headers, body + b" ", SECRET)
    assert not verify(headers, body, "another secret")
    late = str(int(headers["Jetrun-Webhook-Timestamp"]) - 600)
    assert not verify({**headers, "Jetrun-Webhook-Timestamp": late}, body, SECRET)
    assert not verify({}, body, SECRET)
    run_id = run.rsplit("/", 1)[1]
    assert (headers["Jetrun-Webhook-Id"], headers["Jetrun-Webhook-Attempt"]) == (run_id, "1")
    assert headers["Content-Type"] == "application/json"
    told = json.loads(body)
    assert (told["run_id"], told["status"], told["values"]) == (run_id, "success", {"a": 1})
    assert told["metadata"] == {"api_key": "**********", "kept": 1}
    assert told["run_started_at"] <= told["run_ended_at"] <= told["webhook_sent_at"]
    assert "kwargs" not in told
    assert "of-the-receiver" not in json.dumps(state)


@pytest.mark.usefixtures("worker")
async def test_a_failed_run_is_told_with_its_error_and_is_final_by_then(http, receiver, eventually):
    async def look():
        thread = run.split("/runs")[0]
        async with http.get(run) as answer, http.get(thread) as state:
            seen.append(((await answer.json())["status"], (await state.json())["status"]))
        return web.Response()

    seen, receiver.answers = [], [look]
    run = await create(http, receiver.url, input={"fail": "as asked"})
    await until(http, run, "delivered", eventually)
    (told,) = receiver.bodies()
    assert (told["status"], told["values"]) == ("error", None)
    assert told["error"] == {"error": "EchoError", "message": "as asked"}
    assert seen == [("error", "error")]


async def test_a_cancelled_run_is_told(http, receiver, eventually):
    run = await create(http, receiver.url)
    assert (await webhook_of(http, run))["status"] == "waiting"
    async with http.post(f"{run}/cancel") as answer:
        assert answer.status == 202
    await until(http, run, "delivered", eventually)
    assert [told["status"] for told in receiver.bodies()] == ["interrupted"]


async def test_a_receiver_that_fails_three_times_is_called_a_fourth_time(
    http, receiver, eventually, caplog
):
    receiver.answers = [500, 503, 404]
    run = await create(http, receiver.url)
    async with http.post(f"{run}/cancel"):
        pass
    assert (await until(http, run, "delivered", eventually))["attempts"] == 4
    attempts = [headers["Jetrun-Webhook-Attempt"] for headers, _ in receiver.calls]
    assert attempts == ["1", "2", "3", "4"]
    assert {headers["Jetrun-Webhook-Id"] for headers, _ in receiver.calls} == {run.split("/")[-1]}
    facts = [str(vars(record)) for record in caplog.records]
    assert any("the answer was 503" in fact for fact in facts)
    assert not any(secret in fact for fact in facts for secret in (SECRET, "of-the-receiver"))


async def test_a_receiver_that_hangs_is_left_and_the_call_is_shown_as_failed_at_last(
    start_gateway, new_session, receiver, eventually
):
    limits = QUICK.model_copy(update={"max_attempts": 2})
    http = await new_session((await start_gateway(webhooks=limits)).url)
    receiver.answers = [asyncio.Event().wait] * 2
    run = await create(http, receiver.url)
    async with http.post(f"{run}/cancel"):
        pass
    state = await until(http, run, "failed", eventually)
    assert (state["attempts"], state["error"]) == (2, "no answer in time")
    assert len(receiver.calls) == 2


async def test_a_redirect_is_not_followed(http, receiver, eventually):
    visits = []

    async def visited(request):
        visits.append(request.path)
        return web.Response()

    async with serving(visited) as port:
        place = f"http://127.0.0.1:{port}/private"

        async def redirect():
            return web.Response(status=307, headers={"Location": place})

        receiver.answers = [redirect] * QUICK.max_attempts
        run = await create(http, receiver.url)
        async with http.post(f"{run}/cancel"):
            pass
        state = await until(http, run, "failed", eventually)
    assert state["error"] == "the answer was 307"
    assert visits == []


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:2024/",
        "ftp://93.184.215.14/",
        "http://user:password@93.184.215.14/",
        "not a url",
    ],
)
async def test_a_refused_address_is_422_and_nothing_is_created(http, url):
    body = {"assistant_id": "echo", "webhook": url}
    for path in ("/runs", "/runs/stream", "/runs/wait"):
        async with http.post(path, json=body) as answer:
            assert (answer.status, (await answer.json())["code"]) == (422, "webhook-refused")
    async with http.post("/threads/search", json={}) as answer:
        assert await answer.json() == []


async def test_a_name_that_turns_private_after_it_was_judged_is_not_connected_to(
    start_gateway, new_session, receiver, eventually, monkeypatch
):
    """DNS rebinding: the judge was shown a public address, and the connection gets another one."""

    async def rebind(*_):
        return [ip_address("93.184.215.14")]

    monkeypatch.setattr(AddressPolicy, "_resolve", rebind)
    limits = {"allowed_networks": (), "max_attempts": 2, "timeout_s": 10, "lease_s": 12}
    strict = QUICK.model_copy(update=limits)
    http = await new_session((await start_gateway(webhooks=strict)).url)
    run = await create(http, receiver.url.replace("127.0.0.1", "localhost"))
    async with http.post(f"{run}/cancel"):
        pass
    state = await until(http, run, "failed", eventually)
    assert state["error"].startswith("the call failed")
    assert receiver.calls == []


async def test_an_address_that_is_allowed_no_longer_is_not_called(
    start_gateway, new_session, receiver
):
    gateway = await start_gateway(webhooks=QUICK)
    run = await create(await new_session(gateway.url), receiver.url)
    strict = QUICK.model_copy(update={"allowed_networks": ()})
    async with open_sender(strict, policy_of(strict)) as sender:
        ended = await gateway.facade.get_run(*run.split("/")[2:5:2])
        with pytest.raises(WebhookSendError, match="not public") as caught:
            await sender.send(receiver.url, Notice(ended, None, has_lost_values=False, attempt=1))
    assert caught.value.is_final
    assert receiver.calls == []


async def test_without_a_secret_webhooks_are_refused(start_gateway, new_session, receiver):
    http = await new_session((await start_gateway()).url)
    body = {"assistant_id": "echo", "webhook": receiver.url}
    async with http.post("/runs", json=body) as answer:
        problem = await answer.json()
        assert (answer.status, problem["code"]) == (422, "webhook-refused")
    assert "JETRUN_WEBHOOKS__SECRET" in problem["detail"]


async def test_a_run_without_webhook_has_none_to_show(http, wire, gateway):
    run = await wire.create_run(gateway, http)
    async with http.get(f"{run.path}/webhook") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "webhook-not-found")


async def test_a_call_that_a_killed_gateway_had_begun_is_made_by_another_one(
    settings, start_gateway, new_session, receiver, eventually
):
    called = asyncio.Event()

    async def hang():
        called.set()
        await asyncio.Event().wait()

    receiver.answers = [hang]
    limits = QUICK.model_copy(update={"timeout_s": 1.5})
    changed = settings.model_copy(update={"webhooks": limits})
    async with running_role(Role.GATEWAY, changed) as killed:
        http = await new_session(killed.url)
        run = await create(http, receiver.url)
        async with http.post(f"{run}/cancel"):
            pass
        await asyncio.wait_for(called.wait(), 10)
        killed.process.kill()
    other = await new_session((await start_gateway(webhooks=limits)).url)
    assert (await until(other, run, "delivered", eventually))["attempts"] == 2
    assert [told["status"] for told in receiver.bodies()] == ["interrupted"] * 2


async def test_a_call_that_waits_for_its_turn_survives_a_restart_of_the_server(
    http, receiver, eventually, server
):
    receiver.answers = [500]
    run = await create(http, receiver.url)
    async with http.post(f"{run}/cancel"):
        pass
    await eventually(lambda: receiver.calls)
    await server.kill()
    await server.restart()
    assert (await until(http, run, "delivered", eventually, within_s=30))["attempts"] >= 2
