"""The audit log tells who did what, and never a secret or what was sent."""

import asyncio
import json
import logging

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.auth.api_keys import ApiKeyGrant, ApiKeys
from api.auth.audit import note_departure
from api.auth.caller import ALL_SCOPES, Caller, Role, Scope
from api.auth.permissions import MOUNT_PREFIX
from api.auth.settings import AuthSettings
from api.identity import authenticated_by
from bridge.process_logs import JsonFormatter

LOGGER = "api.auth.audit"


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(auth=AuthSettings(methods=("api-key",)))


@pytest.fixture
async def key(gateway):
    scopes = (Scope.READ, Scope.RUN, Scope.OPERATE)
    facts = {"name": "t", "role": Role.USER, "scopes": scopes, "expires_at": None}
    return await ApiKeys(gateway.bridge).create(ApiKeyGrant(user_id="her", **facts))


@pytest.fixture
def lines(caplog):
    """Return the lines of the audit log as they are written."""
    caplog.set_level(logging.DEBUG)

    def read():
        found = [each for each in caplog.records if each.name == LOGGER]
        return [json.loads(JsonFormatter().format(each)) for each in found]

    return read


async def test_what_changes_something_is_noted_with_who_and_what(http, key, lines):
    sent = {"x-api-key": str(key), "X-Request-Id": "mine"}
    body = {"assistant_id": "echo", "input": {"text": "confidential"}}
    async with http.post("/runs", json=body, headers=sent) as answer:
        made = await answer.json()
    run = {"thread_id": made["thread_id"], "run_id": made["run_id"]}
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
    for method, place in [("GET", path), ("POST", f"{path}/cancel"), ("DELETE", "/threads/nope")]:
        async with http.request(method, place, headers=sent):
            pass
    who = {"user_id": "her", "role": "user", "credential": f"key:{key.key_id}"}
    noted = [
        {name: line[name] for name in (*who, "action", "object", "outcome", "request_id")}
        for line in lines()
    ]
    common = {**who, "request_id": "mine"}
    cancel = "POST /threads/{thread_id}/runs/{run_id}/cancel"
    delete = "DELETE /threads/{thread_id}"
    assert noted == [
        {**common, "action": "POST /runs", "object": run, "outcome": 200},
        {**common, "action": cancel, "object": run, "outcome": 202},
        {**common, "action": delete, "object": {"thread_id": "nope"}, "outcome": 404},
    ]
    assert "confidential" not in str(lines())


async def test_calls_on_many_objects_name_them(http, key, lines):
    sent = {"x-api-key": str(key)}
    async with http.post("/threads", json={"thread_id": "mine"}, headers=sent) as answer:
        assert answer.status == 200
    body = [{"assistant_id": "echo", "thread_id": "mine"}] * 2
    async with http.post("/runs/batch", json=body, headers=sent) as answer:
        run_ids = [run["run_id"] for run in await answer.json()]
    body = {"thread_id": "mine", "run_ids": run_ids}
    async with http.post("/runs/cancel", json=body, headers=sent) as answer:
        assert answer.status == 204
    assert [line["object"] for line in lines()] == [
        {"thread_id": "mine"},
        {"run_ids": run_ids},
        {"thread_id": "mine", "run_ids": run_ids},
    ]


async def test_who_is_refused_is_noted_without_what_was_shown(http, key, lines):
    for given, status in [("jrk_0_nonsense", 401), (str(key), 403), (None, 401)]:
        sent = {} if given is None else {"x-api-key": given}
        path = "/threads/a%0Aevent=forged/runs/b/events?token=secret-in-a-query"
        async with http.post(path, json={}, headers=sent) as answer:
            assert answer.status == status
    assert [line["outcome"] for line in lines()] == [401, 403, 401]
    assert lines()[0]["object"] == {"thread_id": "not an id", "run_id": "b"}
    for secret in ("nonsense", key.secret, "secret-in-a-query", "forged"):
        assert secret not in str(lines())


async def test_a_client_that_left_before_its_answer_is_noted(lines, eventually):
    begun = asyncio.Event()

    async def authenticate(_):
        return Caller("her", Role.USER, ALL_SCOPES, "test")

    async def delete(_):
        begun.set()
        await asyncio.Event().wait()

    app = web.Application(middlewares=[note_departure, authenticated_by(authenticate)])
    app.router.add_delete("/threads/{thread_id}", delete)
    app[MOUNT_PREFIX] = ""
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        asking = asyncio.create_task(http.delete(server.make_url("/threads/mine")))
        await begun.wait()
        asking.cancel()
        await eventually(lines)
    assert [(line["outcome"], line["object"]) for line in lines()] == [
        ("client left", {"thread_id": "mine"})
    ]


async def test_where_nobody_is_asked_there_is_no_log(start_gateway, new_session, lines):
    http = await new_session((await start_gateway()).url)
    async with http.post("/runs", json={"assistant_id": "echo"}) as answer:
        assert answer.status == 200
    assert lines() == []
