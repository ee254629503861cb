"""A token in a URL opens the stream and the file of its run, and nothing else."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from every_route import NAMES, NEED_NOT, ROUTES, RUN, filled
from pydantic import SecretStr

from api.auth.api_keys import ApiKeyGrant, ApiKeys
from api.auth.caller import Role, Scope
from api.auth.permissions import OPEN_ROUTES
from api.auth.settings import AuthSettings
from api.auth.stream_tokens import TOKEN_ROUTES
from bridge import RunRef
from store import ArchiveLayout

AUTH = AuthSettings(methods=("api-key",))
SECRET = SecretStr("a secret of more than thirty-two characters")


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(auth=AUTH)


@pytest.fixture
async def hers(gateway):
    """The headers of a user who may not publish."""
    return await key_of(gateway, "her")


async def key_of(gateway, user_id, scopes=(Scope.READ, Scope.RUN, Scope.OPERATE)):
    role = Role.OPERATOR if user_id is None else Role.USER
    grant = ApiKeyGrant(name="t", user_id=user_id, role=role, scopes=scopes, expires_at=None)
    return {"x-api-key": str(await ApiKeys(gateway.bridge).create(grant))}


async def new_run(http, user):
    async with http.post("/runs", json={"assistant_id": "echo"}, headers=user) as answer:
        made = await answer.json()
        return made["thread_id"], made["run_id"]


def at(route, run):
    ids = {"thread_id": run[0], "run_id": run[1], **NAMES}
    return filled(route.partition(" ")[2] or route, ids)


async def mint(http, run, user):
    async with http.post(f"{at(RUN, run)}/token", headers=user) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"
        return (await answer.json())["token"]


async def status_of(http, path, token, method="GET", **query):
    async with http.request(method, path, params={"token": token, **query}) as answer:
        return answer.status


@pytest.mark.parametrize("user_id", ["her", None], ids=["a user", "an operator"])
async def test_a_token_opens_the_stream_of_its_run(gateway, http, wire, user_id):
    user = await key_of(gateway, user_id)
    run = await new_run(http, user)
    token = await mint(http, run, user)
    for path in (f"{at(RUN, run)}/stream", f"/runs/{run[1]}/stream"):
        async with wire.read(http, path, params={"token": token}) as frames:
            assert (await frames.next_event())["data"]["run_id"] == run[1]


async def test_a_token_downloads_the_file_of_its_run(http, hers, settings):
    run = await new_run(http, hers)
    token, path = await mint(http, run, hers), f"{at(RUN, run)}/events.jsonl"
    file = ArchiveLayout(settings.data).run(RunRef(*run))
    file.parent.mkdir(parents=True)
    file.write_bytes(b"{}\n")
    async with http.get(path, params={"token": token}) as answer:
        assert (answer.status, await answer.read()) == (200, b"{}\n")
    assert await status_of(http, path, token, "HEAD") == 200
    async with http.get(path) as answer:
        assert answer.status == 401


async def test_a_token_is_nothing_on_every_other_route(http, hers):
    run = await new_run(http, hers)
    token = await mint(http, run, hers)
    for route in (ROUTES.keys() | NEED_NOT.keys()) - TOKEN_ROUTES - OPEN_ROUTES:
        method = route.partition(" ")[0]
        assert await status_of(http, at(route, run), token, method) == 401, route
        bearer = {"Authorization": f"Bearer {token}"}
        async with http.request(method, at(route, run), headers=bearer) as answer:
            assert answer.status == 401, route


async def test_a_token_opens_no_other_run(http, hers):
    run, other = await new_run(http, hers), await new_run(http, hers)
    token = await mint(http, run, hers)
    for mixed in (other, (run[0], other[1]), (other[0], run[1])):
        assert await status_of(http, f"{at(RUN, mixed)}/stream", token) == 401
        assert await status_of(http, f"{at(RUN, mixed)}/events.jsonl", token) == 401
    assert await status_of(http, f"/runs/{other[1]}/stream", token) == 401


async def test_a_token_only_reads(http, hers):
    run = await new_run(http, hers)
    token, path = await mint(http, run, hers), f"{at(RUN, run)}/stream"
    assert await status_of(http, path, token, cancel_on_disconnect="1") == 403
    assert await status_of(http, path, token, subscription="mine") == 401
    async with http.get(at(RUN, run), headers=hers) as answer:
        assert (await answer.json())["status"] == "pending"


async def test_only_who_sees_a_run_gets_a_token_for_it(gateway, http, hers):
    run = await new_run(http, hers)
    him = await key_of(gateway, "him")
    async with http.post(f"{at(RUN, run)}/token", headers=him) as answer:
        assert answer.status == 404
    async with http.post(f"{at(RUN, run)}/token") as answer:
        assert answer.status == 401


async def test_tokens_that_are_not_ours_or_are_over_are_refused(http, hers):
    run = await new_run(http, hers)
    path = f"{at(RUN, run)}/stream"
    good = await mint(http, run, hers)
    claims = jwt.decode(good, options={"verify_signature": False})
    signature = good.rpartition(".")[2]
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    forged = [
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        jwt.encode(claims, SECRET.get_secret_value()),
        good[:-4],
        "[" * 2000,
        "",
    ]
    for token in forged:
        assert await status_of(http, path, token) == 401, token


async def test_a_token_is_refused_once_it_is_over(start_gateway, new_session, eventually):
    no_leeway = AUTH.jwt.model_copy(update={"leeway_s": 0})
    changes = {"stream_token_s": 1, "jwt": no_leeway}
    gateway = await start_gateway(auth=AUTH.model_copy(update=changes))
    http, user = await new_session(gateway.url), await key_of(gateway, "her")
    run = await new_run(http, user)
    token = await mint(http, run, user)

    async def is_refused():
        return await status_of(http, f"{at(RUN, run)}/stream", token) == 401

    await eventually(is_refused)


async def test_gateways_accept_each_others_tokens(http, hers, start_gateway, new_session):
    run = await new_run(http, hers)
    other = await new_session((await start_gateway(auth=AUTH)).url)
    token = await mint(http, run, hers)
    assert await status_of(other, f"{at(RUN, run)}/stream", token) == 200
    own = AUTH.model_copy(update={"stream_token_secret": SECRET})
    apart = await new_session((await start_gateway(auth=own)).url)
    assert await status_of(apart, f"{at(RUN, run)}/stream", token) == 401
    theirs = await mint(apart, run, hers)
    assert await status_of(http, f"{at(RUN, run)}/stream", theirs) == 401


async def test_a_token_tells_when_it_is_over(http, hers):
    run = await new_run(http, hers)
    async with http.post(f"{at(RUN, run)}/token", headers=hers) as answer:
        told = await answer.json()
    assert (told["thread_id"], told["run_id"]) == run
    left = datetime.fromisoformat(told["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)


async def test_where_nobody_is_asked_tokens_are_made_and_not_looked_at(start_gateway, new_session):
    http = await new_session((await start_gateway()).url)
    run = await new_run(http, {})
    assert await mint(http, run, {})
    assert await status_of(http, f"{at(RUN, run)}/stream", "nonsense") == 200
