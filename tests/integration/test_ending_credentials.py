"""What a credential has opened ends with it, between two events, and the run goes on."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import aiohttp
import jwt
import pytest
from pydantic import SecretStr

from api.auth.api_keys import API_KEY, ApiKeyGrant, ApiKeys
from api.auth.caller import USUAL_SCOPES, Role
from api.auth.jwt_settings import JwtSettings
from api.auth.settings import AuthSettings

ECHO = {"assistant_id": "echo"}
SECRET = "a secret of more than thirty-two characters"
AUTH = AuthSettings(
    methods=("api-key", "jwt"),
    key_cache_s=0.05,
    recheck_s=0.1,
    stream_token_s=2,
    jwt=JwtSettings(secret=SecretStr(SECRET), audience="jetrun", leeway_s=0),
)


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(auth=AUTH, heartbeat_s=0.1)


@pytest.fixture
def keys(gateway):
    return ApiKeys(gateway.bridge)


@pytest.fixture
async def key(keys):
    grant = {"name": "t", "role": Role.USER, "scopes": USUAL_SCOPES, "expires_at": None}
    return await keys.create(ApiKeyGrant(user_id="her", **grant))


@pytest.fixture
async def run(gateway, http, key, wire):
    """A run of hers that no worker takes."""
    async with http.post("/runs", json=ECHO, headers=by(key)) as answer:
        made = await answer.json()
    return wire.OpenRun(gateway, made["thread_id"], made["run_id"])


@pytest.fixture
async def follow(http, run, wire):
    """Open streams of the run with some headers; they close with the test."""
    async with AsyncExitStack() as stack:

        async def follow(headers, path=f"{run.path}/stream", **query):
            reading = wire.read(http, path, headers=headers, params=query)
            frames = await stack.enter_async_context(reading)
            assert (await frames.next_event())["event"] == "metadata"
            return frames

        yield follow


def by(key):
    return {"x-api-key": str(key)}


def token_for(seconds):
    claims = {"sub": "her", "aud": "jetrun", "exp": int(time.time()) + seconds}
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET)}"}


async def ended(frames):
    """Read to the end, which comes between two blocks and is not the run's."""
    rest = await frames.rest()
    assert rest.replace(b": hb\n", b"").endswith((b"\n\n", b""))
    assert b"event: end" not in rest


async def still_open(frames, run, number):
    event_id = await run.publish("updates", number)
    while (await frames.next_event())["id"] != event_id:
        pass


async def test_a_stream_ends_when_its_json_web_token_does_and_goes_on_with_another(
    http, run, key, follow
):
    short, other = token_for(4), await follow(by(key))
    frames = await follow(short)
    first = await run.publish("updates", 1)
    assert (await frames.next_event())["id"] == first
    await ended(frames)
    async with http.get(f"{run.path}/stream", headers=short) as answer:
        assert answer.status == 401
    second = await run.publish("updates", 2)
    again = {**token_for(60), "Last-Event-ID": first}
    async with http.get(f"{run.path}/stream", headers=again) as answer:
        assert (await answer.content.readline()).decode() == f"id: {second}\n"
    await still_open(other, run, 3)


async def test_all_kinds_of_long_answers_end_with_their_token(http, run, key):
    short, thread = token_for(4), f"/threads/{run.thread_id}"
    asked = [
        ("GET", f"{run.path}/join", {}),
        ("GET", f"{run.path}/stream?subscription=mine", {}),
        ("GET", f"{thread}/stream?subscription=all", {}),
        ("POST", f"{thread}/stream/events", {"channels": ["lifecycle"]}),
    ]

    async def read(method, path, body):
        async with http.request(method, path, json=body, headers=short) as answer:
            assert answer.status == 200, await answer.text()
            try:
                return await answer.text()
            except aiohttp.ClientPayloadError:  # cut, so that its client comes again
                return ""

    async with asyncio.timeout(20):
        told = await asyncio.gather(*(read(*each) for each in asked))
    assert not any("event: end" in each for each in told)
    async with http.get(run.path, headers=by(key)) as answer:
        assert (await answer.json())["status"] == "pending"


async def test_a_stream_ends_when_its_api_key_is_revoked(keys, key, run, follow):
    spare = await keys.create((await keys.find(key.key_id)).grant)
    revoked, other = await follow(by(key)), await follow(by(spare))
    await keys.revoke(key.key_id)
    await ended(revoked)
    await still_open(other, run, 1)


async def test_a_stream_ends_when_its_secret_is_rotated_away(
    http, keys, key, run, follow, eventually
):
    old = await follow(by(key))
    fresh = await keys.rotate(key.key_id, timedelta(seconds=0.5))

    async def is_known():
        async with http.get(run.path, headers=by(fresh)) as answer:
            return answer.status == 200

    await eventually(is_known)
    new = await follow(by(fresh))
    await ended(old)
    await still_open(new, run, 1)


async def test_a_key_that_a_newer_version_wrote_keeps_no_other_one_from_being_taken_back(
    gateway, http, key, run, follow, eventually
):
    keys = ApiKeys(gateway.bridge)
    spare = await keys.create((await keys.find(key.key_id)).grant)
    unknown, revoked = await follow(by(spare)), await follow(by(key))
    secrets = gateway.bridge.secrets
    stored = await secrets.find(API_KEY, spare.key_id)
    await secrets.update(API_KEY, spare.key_id, b'{"newer": 1}', revision=stored.revision)

    async def is_unreadable():
        async with http.get(run.path, headers=by(spare)) as answer:
            return (await answer.json()).get("code") == "unreadable-record"

    await eventually(is_unreadable)
    await keys.revoke(key.key_id)
    await ended(revoked)
    await still_open(unknown, run, 1)


async def test_streams_stay_open_while_nats_cannot_tell_of_their_keys(
    server, key, run, follow, gateway, eventually
):
    frames = await follow(by(key))
    await server.kill()
    await eventually(lambda: not gateway.bridge.is_connected)
    await server.restart()
    await still_open(frames, run, 1)


async def test_a_stream_token_that_is_over_opens_nothing_and_leaves_open_what_it_opened(
    http, run, key, follow, eventually
):
    async with http.post(f"{run.path}/token", headers=by(key)) as answer:
        token = (await answer.json())["token"]
    frames = await follow({}, token=token)

    async def is_over():
        async with http.get(f"{run.path}/stream", params={"token": token}) as answer:
            return answer.status == 401

    await eventually(is_over)
    await still_open(frames, run, 1)
