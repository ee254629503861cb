"""Logs of all processes name requests, threads and runs, and hold no payload and no secret."""

import json

import pytest
from pydantic import SecretStr
from roles import running_roles

from api.auth.api_keys import ApiKeyGrant, ApiKeys
from api.auth.caller import ALL_SCOPES, Role
from api.auth.settings import AuthSettings
from api.webhooks.settings import WebhookSettings
from bridge import JetStreamBridge, LoggingSettings
from runs import AssistantSettings

#: Stands in everything that clients send and user code says.
PAYLOAD = "confidential-7f3a"
SECRET = "webhook-secret-of-this-test"
USER_CODE = f"""
async def fails(ctx, given):
    yield "step", {{"text": given["text"]}}
    raise ValueError("{PAYLOAD} " + given["text"])


async def works(ctx, given):
    yield "step", {{"text": given["text"]}}
    ctx.result({{"text": given["text"]}})
"""


@pytest.fixture
def loud(settings, tmp_path):
    """Settings under which every process logs all it has to say, and knows secrets."""
    code = tmp_path / "handlers.py"
    code.write_text(USER_CODE)
    names = ("fails", "works")
    changes = {
        "logging": LoggingSettings(level="debug", format="json"),
        "auth": AuthSettings(methods=("api-key",)),
        "webhooks": WebhookSettings(secret=SecretStr(SECRET), allowed_networks=("127.0.0.0/8",)),
        "assistants": {name: AssistantSettings(function=f"{code}:{name}") for name in names},
    }
    return settings.model_copy(update=changes)


@pytest.fixture
async def roles(loud, tmp_path):
    async with running_roles(loud, tmp_path) as running:
        yield running


@pytest.fixture
async def key(loud):
    async with JetStreamBridge(loud.bridge) as bridge:
        facts = {"user_id": "her", "role": Role.USER, "expires_at": None}
        grant = ApiKeyGrant(name="test", scopes=tuple(ALL_SCOPES), **facts)
        return await ApiKeys(bridge).create(grant)


def body_of(assistant):
    text = {"text": PAYLOAD}
    return {
        "assistant_id": assistant,
        "input": text,
        "metadata": text,
        "config": {"configurable": text},
        "webhook": f"http://127.0.0.1:9/{PAYLOAD}",  # nobody listens there
    }


REQUESTS = [
    ("POST", "/runs/wait", json.dumps(body_of("works"))),
    ("POST", "/runs/wait", json.dumps(body_of("fails"))),
    ("POST", "/runs/wait", json.dumps({**body_of("works"), "assistant_id": 5})),
    ("POST", "/runs/wait", '{"broken": "' + PAYLOAD),
    ("POST", "/threads", json.dumps({"metadata": {"text": PAYLOAD}})),
    ("POST", "/threads/search", json.dumps({"metadata": {"text": PAYLOAD}})),
    ("PUT", "/store/items", json.dumps({"namespace": ["a"], "key": "b", "value": {"v": PAYLOAD}})),
    ("GET", f"/threads/unknown?text={PAYLOAD}", None),
    ("GET", f"/no/such/{PAYLOAD}", None),
]


async def test_no_line_holds_what_was_sent_or_what_is_secret(
    roles, key, loud, new_session, eventually
):
    http = await new_session(roles["gateway"].url)
    wrong = {"x-api-key": f"jrk_{key.key_id}_wrong{PAYLOAD}"}
    statuses = []
    for user in ({"x-api-key": str(key)}, wrong):
        headers = {**user, "X-Mine": PAYLOAD, "Content-Type": "application/json"}
        for method, path, body in REQUESTS:
            async with http.request(method, path, data=body, headers=headers) as answer:
                await answer.read()
                statuses.append(answer.status)
    assert statuses == [200, 200, 422, 422, 200, 200, 204, 404, 404] + [401] * len(REQUESTS)
    for name, event in [("sink", "sink.ready"), ("gateway", "webhook.repeated")]:
        await eventually(lambda name=name, event=event: roles[name].find(event), within_s=20)
    assert roles["worker"].find("run.ended")
    written = {
        name: json.dumps(line)
        for name, role in roles.items()
        for line in role.lines()
        if any(text in json.dumps(line) for text in secrets_of(loud, key))
    }
    assert written == {}
    assert all(role.lines() for role in roles.values())


def secrets_of(settings, key):
    return (PAYLOAD, SECRET, key.secret, settings.nats.password.get_secret_value())


async def test_lines_of_a_request_and_of_a_run_name_them(roles, key, new_session, eventually):
    http = await new_session(roles["gateway"].url)
    named = {"x-api-key": str(key), "X-Request-ID": "mine-1"}
    async with http.post("/threads", json={}, headers=named) as answer:
        thread_id = (await answer.json())["thread_id"]
        assert answer.headers["X-Request-ID"] == "mine-1"
    async with http.get(f"/threads/{thread_id}/runs/none", headers=named) as answer:
        assert (await answer.json())["request_id"] == "mine-1"
    path = f"/threads/{thread_id}/runs/wait"
    async with http.post(path, json=body_of("fails"), headers=named) as answer:
        await answer.read()

    def done():
        lines = [line for line in roles["gateway"].lines() if line["event"] == "http.done"]
        return lines if len(lines) == 3 else None

    lines = await eventually(done)
    ended = await eventually(lambda: roles["worker"].find("run.ended"))
    assert (ended["thread_id"], ended["status"]) == (thread_id, "error")
    assert {line["request_id"] for line in lines} == {"mine-1"}
    assert [line.get("thread_id") for line in lines] == [None, thread_id, thread_id]
    assert [line["status"] for line in lines] == [200, 404, 200]
