"""What clients send stays what it is: no path, no header, no block of a stream, no other object."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from every_route import NAMES, NEED_NOT, ROUTES, filled, served
from pydantic import SecretStr
from raw_http import raw_connections, request

from api.auth.api_keys import ApiKeyGrant, ApiKeys
from api.auth.caller import ALL_SCOPES, Role
from api.auth.jwt_settings import JwtSettings
from api.auth.permissions import OPEN_ROUTES
from api.auth.settings import AuthSettings
from api.limits.settings import LimitSettings
from api.operations import find_operation
from bridge import new_id

ALL_ROUTES = ROUTES.keys() | NEED_NOT.keys()
CANARY = b"a canary outside of everything that is served"


@pytest.fixture
async def connect():
    async with raw_connections() as connect:
        yield connect


@pytest.fixture
def canary(settings):
    """A file beside the archive, where a path that climbs out of it would lead."""
    settings.data.mkdir(parents=True, exist_ok=True)
    for place in (settings.data.parent, settings.data, settings.data / "threads"):
        place.mkdir(exist_ok=True)
        (place / "canary").write_bytes(CANARY)
        (place / "canary.jsonl").write_bytes(CANARY)


UPWARDS = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "%252e%252e%252f", "..%5c", "..;/", "%c0%ae./"]
BELOW = ["/threads/", "/threads/{t}/runs/", "/threads/{t}/runs/{r}/", "/console/", "/docs/", "/"]


@pytest.mark.usefixtures("canary")
@pytest.mark.parametrize("up", UPWARDS)
async def test_no_path_leads_out_of_what_is_served(gateway, connect, open_run, stored, up):
    before, client = await stored(), await connect(gateway.url)
    for below in BELOW:
        for depth in (1, 3):
            for name in ("canary", "canary.jsonl", "canary/events.jsonl", "canary%00"):
                start = below.format(t=open_run.thread_id, r=open_run.run_id)
                client.send(request("GET", f"{start}{up * depth}{name}"))
                status, _, body = await client.answer()
                assert status in {400, 404, 422}, (start, name)
                assert CANARY not in body
    assert await stored() == before


LINE = "\r\nX-Mine: 1\r\n\r\nevent: end\ndata: 1\n\n"


async def test_what_comes_in_a_request_adds_no_header_and_no_block_to_its_answer(
    gateway, connect, open_run, http, wire
):
    encoded = LINE.replace("\r", "%0D").replace("\n", "%0A").replace(" ", "%20")
    client = await connect(gateway.url)
    paths = [
        f"/threads/{encoded}",
        f"/runs/{encoded}/stream",
        f"{open_run.path}/stream?subscription={encoded}",
        f"{open_run.path}/stream?stream_mode={encoded}&stream_mode=[",
        f"/no{encoded}",
    ]
    for path in paths:
        client.send(request("GET", path))
        status, headers, body = await client.answer()
        assert (status in {404, 422}, "x-mine" in headers) == (True, False), path
        assert json.loads(body)["status"] == status
    for given in ("a\tX-Mine: 1", "\u0085X-Mine: 1", "x" * 1000):
        client.send(request("GET", "/ok", **{"X-Request-Id": given, "Origin": given}))
        status, headers, _ = await client.answer()
        assert (status, "x-mine" in headers) == (200, False)
        assert headers["x-request-id"] != given
        assert all(each.isascii() and each.isprintable() for each in headers.values())
    await open_run.end()
    async with wire.read(http, f"{open_run.path}/stream?last_event_id={encoded}") as frames:
        events = wire.events(await frames.rest())
    assert [event["event"] for event in events] == ["gap", "metadata", "end"]


TEXTS = [
    "a\n\nevent: end\ndata: null\n\n",
    "a\r\rid: 999-999\r\r",
    ": comment\n",
    "\u2028\u2029\x85\x0b\x0c\x1c\x1e\x00",
    "\ufeff",
    LINE,
]


async def test_texts_that_look_like_blocks_are_data_of_their_own_event(http, open_run, wire):
    ids = []
    for text in TEXTS:
        body = {"event": "updates", "data": {text: [text]}, "metadata": {text: text}}
        async with http.post(f"{open_run.path}/events", json=body) as answer:
            assert answer.status == 201, await answer.text()
            ids.append((await answer.json())["id"])
    await open_run.end()
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        _, *events, end = wire.events(await frames.rest())
    assert [(event["id"], event["data"]) for event in events] == [
        (event_id, {text: [text]}) for event_id, text in zip(ids, TEXTS, strict=True)
    ]
    assert end["event"] == "end"
    async with http.get(f"{open_run.path}/events?event_type=updates") as answer:
        records = (await answer.json())["data"]
    assert [record["metadata"] for record in records] == [{text: text} for text in TEXTS]


@pytest.mark.parametrize(
    "bad", ["a\n", "\ra", "a\x00", "a\x85", "a\u2028b", " a", "\u2029", "\x0b"]
)
async def test_names_that_would_break_a_line_are_refused(http, open_run, stored, bad):
    before = await stored()
    for field in ("event", "category", "event_id"):
        body = {"event": "updates", "data": 1, field: bad}
        async with http.post(f"{open_run.path}/events", json=body) as answer:
            assert answer.status == 422, (field, bad)
            assert (await answer.json())["code"] == "invalid-event"
    assert await stored() == before


async def test_every_route_with_a_body_refuses_what_is_none(
    start_gateway, new_session, open_run, stored
):
    limits = LimitSettings(max_json_depth=8)
    gateway = await start_gateway(limits=limits, max_body_bytes=2048)
    http, before = await new_session(gateway.url), await stored()
    wrong = {
        "invalid-json": b'{"a": NaN}',
        "json-too-deep": b'{"a":' * 9 + b"1" + b"}" * 9,
        "body-too-large": b'{"a": "' + b"x" * 3000 + b'"}',
        "invalid-request": b'"text"',
    }
    ids = {**NAMES, "thread_id": open_run.thread_id, "run_id": open_run.run_id}
    read = [
        (route.method, route.resource.canonical)
        for route in gateway.app.router.routes()
        if "body" in getattr(find_operation(route.handler), "models", {})
    ]
    assert len(read) > 25
    for method, path in read:
        for code, body in wrong.items():
            async with http.request(method, filled(path, ids), data=body) as answer:
                told = await answer.json(content_type="application/problem+json")
            assert told["code"] == code, (method, path)
    assert await stored() == before


SECRET = "a secret of more than thirty-two characters"


async def test_credentials_that_are_over_are_refused_on_every_route(
    start_gateway, new_session, stored
):
    tokens = JwtSettings(secret=SecretStr(SECRET), audience="jetrun", leeway_s=0)
    auth = AuthSettings(methods=("api-key", "jwt"), jwt=tokens)
    gateway = await start_gateway(auth=auth)
    http, now = await new_session(gateway.url), datetime.now(UTC)
    claims = {"sub": "her", "aud": "jetrun", "role": "operator", "exp": now - timedelta(seconds=1)}
    grant = {"name": "t", "role": Role.OPERATOR, "scopes": tuple(ALL_SCOPES), "user_id": None}
    expired = ApiKeyGrant(**grant, expires_at=now - timedelta(seconds=1))
    over = [
        {"Authorization": f"Bearer {jwt.encode(claims, SECRET)}"},
        {"x-api-key": str(await ApiKeys(gateway.bridge).create(expired))},
    ]
    assert served(gateway.app) == ALL_ROUTES
    ids, before = {**NAMES, "thread_id": new_id(), "run_id": new_id()}, await stored()
    for route in ALL_ROUTES - OPEN_ROUTES:
        method, path = route.split(" ")
        for headers in over:
            body = filled(ROUTES.get(route), ids)
            asking = http.request(method, filled(path, ids), headers=headers, json=body)
            async with asyncio.timeout(20), asking as answer:
                assert answer.status == 401, route
    assert await stored() == before
