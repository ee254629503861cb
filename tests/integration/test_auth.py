"""Who has no good credential gets nothing, and who has one gets what is its own."""

import json
import logging
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from every_route import NEED_NOT, ROUTES, RUN, ask, filled, served
from langgraph_sdk import get_client
from langgraph_sdk.errors import AuthenticationError, NotFoundError
from pydantic import SecretStr

from api.auth.api_keys import ApiKey, ApiKeyGrant, ApiKeys
from api.auth.caller import ALL_SCOPES, Role, Scope
from api.auth.jwt_settings import JwtSettings
from api.auth.permissions import OPEN_ROUTES, scope_of
from api.auth.settings import AuthSettings
from api.configurable_headers import with_headers
from api.http_settings import HttpSettings
from api.listener import open_listener
from api.startup_errors import ExposedHostError, ListenError
from bridge import new_id

AUTH = AuthSettings(methods=("api-key",), key_cache_s=0.05)
ALL_ROUTES = {**dict.fromkeys(NEED_NOT), **ROUTES}


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(auth=AUTH)


@pytest.fixture
def keys(gateway):
    return ApiKeys(gateway.bridge)


def grant(user_id="her", role=Role.USER, scopes=ALL_SCOPES, expires_at=None):
    return ApiKeyGrant(
        name="test", user_id=user_id, role=role, scopes=tuple(scopes), expires_at=expires_at
    )


@pytest.fixture
def key_of(keys):
    """Make a key, and return the headers that carry it."""

    async def make(*args, **facts):
        return headers(await keys.create(grant(*args, **facts)))

    return make


def headers(key):
    return {"x-api-key": str(key)}


async def new_run(http, user):
    async with http.post("/runs", json={"assistant_id": "echo"}, headers=user) as answer:
        assert answer.status == 200, await answer.text()
        made = await answer.json()
        return made["thread_id"], made["run_id"]


def path_of(run):
    return filled(RUN, {"thread_id": run[0], "run_id": run[1]})


async def status_of(http, path, user):
    async with http.get(path, headers=user) as answer:
        return answer.status


NOBODY = {
    "nothing": {},
    "an unknown key": headers(ApiKey.make()),
    "something else as a key": {"x-api-key": "lsv2_pt_of_another_service"},
    "something else as bearer": {"Authorization": "Bearer nonsense"},
    "an empty bearer": {"Authorization": "Bearer "},
    "another scheme": {"Authorization": "Basic dTpw"},
}


async def test_every_route_but_those_for_load_balancers_wants_a_credential(gateway, http):
    run = (new_id(), new_id())
    assert served(gateway.app) == ALL_ROUTES.keys()
    for route in ALL_ROUTES:
        status, _ = await ask(http, route, run, {})
        assert status == (200 if route in OPEN_ROUTES else 401), route


@pytest.mark.parametrize("given", NOBODY.values(), ids=NOBODY.keys())
async def test_what_proves_nothing_is_401_and_says_how_to_ask(http, given):
    for path in ("/threads/unknown", "/no/such/route"):
        async with http.get(path, headers=given) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="jetrun"')
            assert (await answer.json())["code"] in {"not-authenticated", "credential-refused"}


async def test_two_credentials_of_one_kind_are_refused(http, key_of):
    hers = (await key_of("her"))["x-api-key"]
    twice = [("x-api-key", hers), ("x-api-key", (await key_of("him"))["x-api-key"])]
    assert await status_of(http, "/info", twice) == 401


#: By route: the scope that it needs.
READ = {"POST /assistants/search", "POST /assistants/count", "POST /threads/search"}
READ |= {"POST /threads/count", "POST /threads/{thread_id}/history", "POST /runs/search"}
READ |= {"POST /runs/count", f"POST {RUN}/token", "POST /threads/{thread_id}/state/checkpoint"}
READ |= {"POST /runs/crons/search", "POST /runs/crons/count", "POST /runs/statuses/count"}
READ |= {"POST /threads/{thread_id}/stream/events"}
OPERATE = {"POST /runs/cancel", f"POST {RUN}/cancel", f"DELETE {RUN}"}
OPERATE |= {"DELETE /threads/{thread_id}", "DELETE /runs/crons/{cron_id}"}
READ |= {"POST /assistants/{assistant_id}/versions"}
READ |= {"POST /store/items/search", "POST /store/namespaces"}
OPERATE |= {"DELETE /threads/{thread_id}", "POST /threads/prune"}
OPERATE |= {"DELETE /assistants/{assistant_id}", "DELETE /store/items"}
CHANGE = {
    "POST /threads",
    "POST /threads/{thread_id}/state",
    "PATCH /threads/{thread_id}",
    "POST /threads/{thread_id}/copy",
    "POST /assistants",
    "PATCH /assistants/{assistant_id}",
    "POST /assistants/{assistant_id}/latest",
    "PUT /store/items",
    "POST /runs/batch",
    "PATCH /runs/crons/{cron_id}",
    "POST /threads/{thread_id}/commands",
    f"POST {RUN}/again",
}
for place in ("/runs", "/threads/{thread_id}/runs"):
    CHANGE |= {f"POST {place}", f"POST {place}/stream", f"POST {place}/wait"}
    CHANGE |= {f"POST {place}/crons"}
NEEDS = {
    Scope.READ: READ | {route for route in ALL_ROUTES if route.startswith("GET")} - OPEN_ROUTES,
    Scope.OPERATE: OPERATE,
    Scope.RUN: CHANGE,
    Scope.PUBLISH: {f"POST {RUN}/events"},
}


def test_every_route_has_the_scope_that_is_written_here():
    assert set().union(*NEEDS.values()) == ALL_ROUTES.keys() - OPEN_ROUTES
    for scope, routes in NEEDS.items():
        assert {scope_of(route) for route in routes} == {scope}


@pytest.mark.parametrize("scope", Scope)
async def test_a_credential_without_the_scope_is_403_on_every_route(http, key_of, scope):
    everything, rest = await key_of(), await key_of(scopes=ALL_SCOPES - {scope})
    run = await new_run(http, everything)
    for route in NEEDS[scope]:
        status, said = await ask(http, route, run, rest)
        assert (status, json.loads(said)["code"]) == (403, "scope-missing"), route
    assert await status_of(http, path_of(run), everything) == 200


async def test_a_reader_cannot_stop_a_run_by_leaving_it(http, key_of):
    run = await new_run(http, await key_of())
    reader = await key_of(scopes=[Scope.READ])
    for way in ("stream", "join"):
        path = f"{path_of(run)}/{way}?cancel_on_disconnect=true"
        assert await status_of(http, path, reader) == 403
        for doubtful in ("cancel_on_disconnect=0&cancel_on_disconnect=1", "cancel_on_disconnect="):
            path = f"{path_of(run)}/{way}?{doubtful}"
            assert await status_of(http, path, reader) == 403
    path = f"{path_of(run)}/stream?cancel_on_disconnect=False"
    assert await status_of(http, path, reader) == 200


async def test_on_every_route_another_users_run_is_as_if_it_did_not_exist(http, key_of):
    her, him, operator = (
        await key_of("her"),
        await key_of("him"),
        await key_of(None, role=Role.OPERATOR),
    )
    hers = await new_run(http, her)
    for route in ROUTES:
        nothing = await ask(http, route, (new_id(), new_id()), him)
        assert await ask(http, route, hers, him) == nothing, route
    for user in (her, operator):
        assert await status_of(http, path_of(hers), user) == 200


async def test_an_expired_and_a_revoked_key_are_refused(http, keys, key_of, eventually):
    gone = datetime.now(UTC) - timedelta(seconds=1)
    assert await status_of(http, "/info", await key_of(expires_at=gone)) == 401
    key = await keys.create(grant())
    assert await status_of(http, "/info", headers(key)) == 200
    await keys.revoke(key.key_id)

    async def refused():
        return await status_of(http, "/info", headers(key)) == 401

    await eventually(refused)
    assert await keys.list() != {}
    assert key.key_id not in await keys.list()


async def test_a_revoked_key_is_used_no_longer_than_the_cache_lasts(start_gateway, new_session):
    gateway = await start_gateway(auth=AUTH.model_copy(update={"key_cache_s": 60}))
    http, keys = await new_session(gateway.url), ApiKeys(gateway.bridge)
    known, unused = await keys.create(grant()), await keys.create(grant())
    assert await status_of(http, "/info", headers(known)) == 200
    for key in (known, unused):
        await keys.revoke(key.key_id)
    assert await status_of(http, "/info", headers(known)) == 200
    assert await status_of(http, "/info", headers(unused)) == 401


async def test_while_a_key_is_rotated_both_secrets_are_good(http, keys, eventually):
    old = await keys.create(grant())
    new = await keys.rotate(old.key_id, timedelta(hours=1))
    assert new.key_id == old.key_id
    for key in (old, new):
        assert await status_of(http, "/info", headers(key)) == 200
    newest = await keys.rotate(old.key_id, timedelta(0))

    async def only_the_newest():
        statuses = [await status_of(http, "/info", headers(key)) for key in (old, new, newest)]
        return statuses == [401, 401, 200]

    await eventually(only_the_newest)


async def test_the_id_of_a_key_with_the_secret_of_another_is_refused(http, keys):
    one, other = await keys.create(grant()), await keys.create(grant("him"))
    assert await status_of(http, "/info", headers(ApiKey(one.key_id, other.secret))) == 401


async def test_secrets_are_in_no_record_and_no_answer_and_no_log(gateway, http, keys, caplog):
    caplog.set_level(logging.DEBUG)
    key = await keys.create(grant(scopes=[Scope.READ]))
    wrong = ApiKey.make(key.key_id)
    for given in (headers(key), {"Authorization": f"Bearer {key}"}, headers(wrong)):
        for method, path in [("GET", "/info"), ("GET", "/nothing"), ("POST", "/threads")]:
            async with http.request(method, path, headers=given, json={}) as answer:
                said = await answer.text() + str(answer.headers)
            assert key.secret not in said
            assert wrong.secret not in said
    record = await gateway.bridge.secrets.find("api-key", key.key_id)
    assert key.secret not in record.value.decode()
    assert key.digest in record.value.decode()
    assert key.secret not in repr(key)
    logged = "".join(json.dumps(vars(each), default=repr) for each in caplog.records)
    assert key.secret not in logged
    assert wrong.secret not in logged


@pytest.mark.parametrize("way", ["api key", "bearer"])
async def test_the_unmodified_sdk_sends_keys_both_ways(gateway, keys, way):
    key, other = str(await keys.create(grant())), str(await keys.create(grant("him")))

    def client_of(credential):
        if way == "api key":
            return get_client(url=gateway.url, api_key=credential)
        bearer = {"Authorization": f"Bearer {credential}"}
        return get_client(url=gateway.url, api_key="lsv2_sent_unasked", headers=bearer)

    async with client_of(key) as client, client_of(other) as another:
        thread = await client.threads.create()
        assert (await client.threads.get(thread["thread_id"]))["status"] == "idle"
        with pytest.raises(NotFoundError):
            await another.threads.get(thread["thread_id"])
    async with client_of("nonsense") as client:
        with pytest.raises(AuthenticationError):
            await client.threads.search()


async def test_a_preflight_needs_no_credential_and_its_request_does(start_gateway, new_session):
    origin = "https://app.example"
    http = await new_session((await start_gateway(auth=AUTH, cors_origins=(origin,))).url)
    asking = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-api-key",
    }
    async with http.options("/threads", headers=asking) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,x-api-key"
    async with http.post("/threads", json={}, headers={"Origin": origin}) as answer:
        assert answer.status == 401
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "WWW-Authenticate" in answer.headers["Access-Control-Expose-Headers"]


async def test_strangers_do_not_learn_from_readiness_what_went_wrong_with_files(http):
    async with http.get("/readyz") as answer:
        assert "last_error" not in await answer.text()


async def test_users_with_tokens_see_their_own_and_operators_all(start_gateway, new_session):
    secret = "a secret of more than thirty-two characters"
    tokens = JwtSettings(secret=SecretStr(secret), audience="jetrun")
    gateway = await start_gateway(auth=AuthSettings(methods=("jwt",), jwt=tokens))
    http = await new_session(gateway.url)

    def bearer(user, **claims):
        exp = datetime.now(UTC) + timedelta(minutes=1)
        token = jwt.encode({"sub": user, "aud": "jetrun", "exp": exp, **claims}, secret)
        return {"Authorization": f"Bearer {token}"}

    run = await new_run(http, bearer("her"))
    assert await status_of(http, path_of(run), bearer("her")) == 200
    assert await status_of(http, path_of(run), bearer("him")) == 404
    assert await status_of(http, path_of(run), bearer("him", role="operator")) == 200
    assert await status_of(http, path_of(run), bearer("her", aud="other")) == 401
    key = await ApiKeys(gateway.bridge).create(grant())
    assert await status_of(http, path_of(run), headers(key)) == 401


async def test_below_a_prefix_the_same_routes_are_open_and_need_the_same(
    start_gateway, new_session
):
    gateway = await start_gateway(auth=AUTH, mount_prefix="/api")
    http, keys = await new_session(gateway.url), ApiKeys(gateway.bridge)
    user = headers(await keys.create(grant(scopes=[Scope.READ, Scope.RUN])))
    assert await status_of(http, "/api/ok", {}) == 200
    assert await status_of(http, "/api/info", {}) == 401
    async with http.post("/api/runs", json={"assistant_id": "echo"}, headers=user) as answer:
        made = await answer.json()
    path = f"/api{path_of((made['thread_id'], made['run_id']))}"
    async with http.delete(path, headers=user) as answer:
        assert answer.status == 403
    async with http.post(f"{path}/token", headers=user) as answer:
        token = (await answer.json())["token"]
    assert await status_of(http, f"{path}/stream?token={token}", {}) == 200


def test_runs_find_credentials_of_their_creators_only_where_these_are_named():
    sent = {"Authorization": "Bearer x", "X-Api-Key": "y", "X-Colour": "blue"}
    everything = HttpSettings(header_includes=("*",))
    assert with_headers({}, sent, everything) == {"configurable": {"x-colour": "blue"}}
    named = HttpSettings(header_includes=("authorization",))
    assert with_headers({}, sent, named) == {"configurable": {"authorization": "Bearer x"}}


def test_a_gateway_that_authenticates_may_listen_beyond_the_loopback_address():
    nobodys = HttpSettings(host="192.0.2.1")  # of documentation: it cannot be listened on
    with pytest.raises(ExposedHostError, match="JETRUN_AUTH__METHODS"):
        open_listener(nobodys)
    with pytest.raises(ListenError):
        open_listener(nobodys, authenticates=True)
