"""A service's client does each thing once, whatever happens to the gateway meanwhile."""

import asyncio

import pytest
from gateway_process import GatewayProcess

from api.client import Client, Event, GatewayRequestError, Run, RunFailedError

EVENTS = 150
KILLED_AT = (30, 80)


@pytest.fixture
async def killable(settings):
    async with GatewayProcess(settings) as process:
        yield process


@pytest.fixture
async def client(killable):
    async with Client(killable.url, outage_budget_s=90) as client:
        yield client


async def kill_and_restart(gateway):
    await gateway.kill()
    await gateway.start()


async def test_what_is_published_while_the_gateway_dies_is_followed_once_and_in_order(
    killable, client
):
    run = await client.create_run("echo")  # nobody executes it

    async def publish():
        return [await client.publish(run, "step", {"n": n}) for n in range(EVENTS)]

    followed = []
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        publishing = group.create_task(publish())
        async for event in client.follow(run, stream_modes=["custom"]):
            followed.append(event)
            if len(followed) in KILLED_AT:
                group.create_task(kill_and_restart(killable))
            if len(followed) == EVENTS + 1:
                break
    assert [event.event for event in followed] == ["metadata", *["step"] * EVENTS]
    assert [event.data["n"] for event in followed[1:]] == list(range(EVENTS))
    assert [event.id for event in followed[1:]] == publishing.result()


async def test_runs_that_are_created_while_the_gateway_dies_are_created_once(killable, client):
    thread_id = await client.create_thread()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        creating = [group.create_task(client.create_run("echo", thread_id=thread_id)) for _ in "12"]
        group.create_task(kill_and_restart(killable))
        creating += [
            group.create_task(client.create_run("echo", thread_id=thread_id)) for _ in "345"
        ]
    made = {each.result().run_id for each in creating}
    listed = await client._call("GET", f"/threads/{thread_id}/runs")
    assert {each["run_id"] for each in listed} == made
    assert len(made) == 5


@pytest.mark.usefixtures("worker")
async def test_a_result_is_awaited_through_the_death_of_the_gateway(killable, client):
    run = await client.create_run("echo", input={"events": 30, "delay_s": 0.05})
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        waiting = group.create_task(client.wait(run))
        group.create_task(kill_and_restart(killable))
    assert waiting.result() == {"events": 30, "delay_s": 0.05}


async def test_following_goes_on_behind_an_event(client):
    run = await client.create_run("echo")
    ids = [await client.publish(run, "step", n) for n in range(5)]
    await client.cancel(run)
    async with asyncio.timeout(30):
        rest = [each async for each in client.follow(run, after=ids[2])]
    assert rest == [Event(ids[3], "step", 3), Event(ids[4], "step", 4)]
    with pytest.raises(RunFailedError, match="RunInterruptedError"):
        await client.wait(run)
    assert (await client.get_run(run))["status"] == "interrupted"


async def test_a_repeat_of_another_process_is_known_by_its_key(client):
    first, again = [
        await client.create_run("echo", idempotency_key="order-7", input=1) for _ in range(2)
    ]
    assert first == again
    ids = [await client.publish(first, "step", 1, event_id="one") for _ in range(2)]
    assert ids[0] == ids[1]


async def test_a_refusal_is_told_at_once_with_its_code(client):
    nowhere = Run("none", "none")
    for call in (client.get_run, client.wait, client.cancel):
        with pytest.raises(GatewayRequestError) as caught:
            await call(nowhere)
        assert (caught.value.status, caught.value.code) == (404, "run-not-found")
    with pytest.raises(GatewayRequestError, match="404"):
        await anext(client.follow(nowhere))


async def test_a_gateway_that_stays_away_is_told_when_the_budget_is_used_up():
    async with Client("http://127.0.0.1:1", outage_budget_s=0.2) as client:
        with pytest.raises(GatewayRequestError, match=r"no sign of life for 0\.2 s"):
            await client.create_thread()


@pytest.mark.parametrize("url", ["somewhere", "nats://127.0.0.1:1"])
async def test_what_is_no_url_is_told_at_once(url):
    async with Client(url) as client:
        with pytest.raises(GatewayRequestError, match="is no http"):
            await client.create_thread()


async def test_the_credential_goes_with_every_call(start_gateway):
    asked = []

    async def authenticate(request):
        asked.append((request.headers.get("x-api-key"), request.headers.get("Authorization")))
        raise GatewayClosedError

    class GatewayClosedError(Exception):
        """Whoever calls is not served here."""

    gateway = await start_gateway(authenticate)
    for credential in ({"api_key": "key"}, {"token": "token"}):
        async with Client(gateway.url, outage_budget_s=0, **credential) as client:
            with pytest.raises(GatewayRequestError):
                await client.create_thread()
    assert set(asked) == {("key", None), (None, "Bearer token")}
