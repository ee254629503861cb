"""Bad input gets a clear problem document, and leaves nothing behind."""

import io
import json

import pytest

UNKNOWN = "00000000-0000-4000-8000-000000000000"
ECHO = {"assistant_id": "echo"}


@pytest.fixture
async def thread_id(http):
    async with http.post("/threads", json={}) as answer:
        return (await answer.json())["thread_id"]


@pytest.fixture
def refused(http, stored):
    """Send a request that must be refused, and check that it left nothing behind."""

    async def send(method, path, status, **options):
        before = await stored()
        async with http.request(method, path, **options) as answer:
            problem = await answer.json(content_type="application/problem+json")
        assert await stored() == before
        assert answer.status == status, problem
        assert problem["status"] == status
        assert problem["title"]
        assert isinstance(problem["detail"], str)
        assert problem["code"]
        return problem

    return send


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/threads/{t}"),
        ("GET", "/threads/{t}/state"),
        ("POST", "/threads/{t}/history"),
        ("GET", "/threads/{t}/runs"),
        ("GET", "/threads/{t}/runs/{r}"),
        ("GET", "/threads/{t}/runs/{r}/stream"),
        ("GET", "/threads/{t}/runs/{r}/join"),
        ("POST", "/threads/{t}/runs/{r}/cancel"),
        ("GET", "/runs/{r}/stream"),
        ("GET", "/assistants/{r}"),
    ],
)
async def test_what_does_not_exist_is_404_and_is_not_created(refused, method, path):
    await refused(method, path.format(t=UNKNOWN, r=UNKNOWN), 404)


async def test_an_unknown_run_of_a_known_thread_is_404(refused, thread_id):
    for call in ("", "/stream", "/join"):
        problem = await refused("GET", f"/threads/{thread_id}/runs/{UNKNOWN}{call}", 404)
        assert problem["code"] == "run-not-found"
    body = {"event": "updates", "data": 1}
    await refused("POST", f"/threads/{thread_id}/runs/{UNKNOWN}/events", 404, json=body)


async def test_a_run_is_not_found_under_another_thread(refused, open_run, thread_id):
    for call in ("", "/stream", "/join"):
        await refused("GET", f"/threads/{thread_id}/runs/{open_run.run_id}{call}", 404)
    path = f"/threads/{thread_id}/runs/{open_run.run_id}"
    await refused("POST", f"{path}/cancel", 404)
    await refused("POST", f"{path}/events", 404, json={"event": "updates", "data": 1})


@pytest.mark.parametrize("call", ["", "/stream", "/wait"])
async def test_a_run_in_an_unknown_thread_is_404_and_creates_no_thread(refused, call):
    await refused("POST", f"/threads/{UNKNOWN}/runs{call}", 404, json=ECHO)


@pytest.mark.parametrize("call", ["", "/stream", "/wait"])
async def test_a_run_of_an_unknown_assistant_is_404(refused, thread_id, call):
    body = {"assistant_id": "nobody"}
    problem = await refused("POST", f"/threads/{thread_id}/runs{call}", 404, json=body)
    assert problem["code"] == "assistant-not-found"
    await refused("POST", f"/runs{call}", 404, json=body)


@pytest.mark.parametrize(
    "bad", ["a.b", "a%2Fb", "a%20b", "a%2E%2E", "x" * 65, "%F0%9F%9A%80", "%ff"]
)
async def test_an_id_that_is_not_one_token_is_422(refused, bad):
    for path in ("", "/state", "/runs", f"/runs/{UNKNOWN}"):
        await refused("GET", f"/threads/{bad}{path}", 422)
    await refused("GET", f"/threads/{UNKNOWN}/runs/{bad}/stream", 422)
    await refused("POST", f"/threads/{bad}/runs", 422, json=ECHO)


@pytest.mark.parametrize("bad", ["", "a b", "a.b", "a\n", "x" * 65, 5, ["a"], {"a": 1}])
async def test_a_thread_cannot_be_created_under_a_bad_id(refused, bad):
    await refused("POST", "/threads", 422, json={"thread_id": bad})


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nothing",
        b'{"assistant_id": "echo", "input": NaN}',
        b'{"assistant_id": "echo", "input": -Infinity}',
        b'{"assistant_id": "echo", "input": 1e999}',
        b'{"assistant_id": "echo", "input": "\xff"}',
        b'{"assistant_id": "echo", "input": "\\ud800"}',
        b'{"assistant_id": "echo"} {}',
        b"[" * 100_000,
    ],
)
async def test_a_body_that_is_not_strict_json_is_422(refused, thread_id, body):
    for call in ("", "/stream", "/wait"):
        problem = await refused("POST", f"/threads/{thread_id}/runs{call}", 422, data=body)
        assert problem["code"] == "invalid-json"


@pytest.mark.parametrize("body", [[], "text", 5, None, {}, {"assistant_id": ""}])
async def test_a_body_of_another_form_is_422(refused, thread_id, body):
    await refused("POST", f"/threads/{thread_id}/runs", 422, data=json.dumps(body))


async def test_a_body_with_a_broken_encoding_is_422(refused, thread_id):
    headers = {"Content-Encoding": "gzip"}
    path = f"/threads/{thread_id}/runs"
    await refused("POST", path, 422, data=b"not gzip", headers=headers)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("multitask_strategy", "later"),
        ("on_disconnect", "panic"),
        ("if_not_exists", "maybe"),
        ("on_completion", "burn"),
        ("stream_mode", "everything"),
        ("stream_mode", ["values", "tools"]),
        ("stream_mode", 5),
        ("durability", "never"),
        ("after_seconds", -1),
        ("after_seconds", 1e12),
        ("config", []),
        ("metadata", "text"),
        ("assistant_id", "x" * 300),
    ],
)
async def test_a_value_outside_its_choices_is_422_and_named(refused, thread_id, option, value):
    body = {**ECHO, option: value}
    for path in (f"/threads/{thread_id}/runs/stream", "/runs/wait"):
        problem = await refused("POST", path, 422, json=body)
        assert option in problem["detail"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("webhook", "http://127.0.0.1/"),
        ("interrupt_before", "*"),
        ("interrupt_after", ["node"]),
        ("command", {"goto": "node"}),
        ("on_completion", "delete"),
        ("strict_resume", True),
    ],
)
async def test_an_option_that_is_not_honoured_is_422_and_named(refused, thread_id, option, value):
    path = f"/threads/{thread_id}/runs/stream"
    problem = await refused("POST", path, 422, json={**ECHO, option: value})
    assert option in problem["detail"]


async def test_options_that_exclude_each_other_are_400(refused, thread_id):
    body = {**ECHO, "config": {"configurable": {"a": 1}}, "context": {"b": 2}}
    await refused("POST", f"/threads/{thread_id}/runs", 400, json=body)


async def test_what_sdks_send_without_meaning_is_ignored(http, thread_id):
    body = {
        **ECHO,
        "stream_resumable": True,
        "feedback_keys": ["a"],
        "langsmith_tracer": {"project_name": "x"},
        "checkpoint_during": False,
        "durability": "sync",
        "interrupt_before": [],
        "command": {},
        "something_new": 1,
    }
    async with http.post(f"/threads/{thread_id}/runs", json=body) as answer:
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=100000", "offset=-1", "status=done"]
)
async def test_a_list_query_out_of_range_is_422(refused, thread_id, query):
    await refused("GET", f"/threads/{thread_id}/runs?{query}", 422)


async def test_bad_stream_modes_of_a_join_are_422(refused, open_run):
    await refused("GET", f"{open_run.path}/stream?stream_mode=[", 422)
    await refused("GET", f"{open_run.path}/stream?stream_mode=[1]", 422)
    await refused("GET", f"{open_run.path}/stream?stream_mode={'a,' * 100}", 422)
    await refused("GET", f"{open_run.path}/stream?cancel_on_disconnect=perhaps", 422)


async def test_a_bad_cancel_is_422_and_a_finished_run_is_409(refused, open_run, http):
    await refused("POST", f"{open_run.path}/cancel?action=explode", 422)
    await refused("POST", f"{open_run.path}/cancel?wait=perhaps", 422)
    await open_run.end()
    async with http.get(f"{open_run.path}/join") as answer:
        assert await answer.json() is None
    problem = await refused("POST", f"{open_run.path}/cancel", 409)
    assert problem["code"] == "run-not-cancellable"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"event": "end", "data": 1}, 422, "reserved-event"),
        ({"event": "metadata", "data": 1}, 422, "reserved-event"),
        ({"event": "gap", "data": 1}, 422, "reserved-event"),
        ({"event": "", "data": 1}, 422, "invalid-event"),
        ({"event": "a\nid: 1", "data": 1}, 422, "invalid-event"),
        ({"event": "a", "data": 1, "category": "\r"}, 422, "invalid-event"),
        ({"event": "a", "data": 1, "event_id": ""}, 422, "invalid-event"),
        ({"event": "a", "data": 1, "metadata": []}, 422, "invalid-request"),
        ({"event": "a", "data": 1, "id": 5}, 422, "invalid-request"),
        ({"event": "a"}, 422, "invalid-request"),
        ({"data": 1}, 422, "invalid-request"),
    ],
)
async def test_an_event_that_cannot_be_stored_is_refused(refused, open_run, body, status, code):
    problem = await refused("POST", f"{open_run.path}/events", status, json=body)
    assert problem["code"] == code


async def test_an_event_with_a_number_that_is_none_is_refused(refused, open_run):
    await refused("POST", f"{open_run.path}/events", 422, data=b'{"event": "a", "data": NaN}')


async def test_an_event_after_the_end_is_409(refused, open_run):
    await open_run.end()
    body = {"event": "updates", "data": 1}
    problem = await refused("POST", f"{open_run.path}/events", 409, json=body)
    assert problem["code"] == "stream-terminated"


async def test_a_published_event_is_in_the_stream_once_per_event_id(http, open_run, wire):
    body = {"event": "updates", "data": {"n": 2**70}, "category": "message", "event_id": "one"}
    ids = []
    for _ in range(2):
        async with http.post(f"{open_run.path}/events", json=body) as answer:
            assert answer.status == 201
            ids.append((await answer.json())["id"])
    await open_run.end()
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        _, event, _ = wire.events(await frames.rest())
    assert ids == [event["id"]] * 2
    assert event["data"] == {"n": 2**70}


async def test_a_body_above_the_limit_is_413(start_gateway, new_session, stored, open_run):
    http = await new_session((await start_gateway(max_body_bytes=2048)).url)
    before = await stored()
    bodies = {
        "/threads": {"metadata": {"a": "x" * 3000}},
        f"/threads/{open_run.thread_id}/runs": {**ECHO, "input": "x" * 3000},
        f"{open_run.path}/events": {"event": "a", "data": "x" * 3000},
    }
    for path, body in bodies.items():
        async with http.post(path, json=body) as answer:
            problem = await answer.json(content_type="application/problem+json")
            assert (answer.status, problem["code"]) == (413, "body-too-large")
    assert await stored() == before


async def test_the_largest_body_that_is_taken_can_be_stored(http, settings, thread_id):
    room = settings.http.max_body_bytes - 100
    body = io.BytesIO(json.dumps({**ECHO, "input": "x" * room}).encode())
    async with http.post(f"/threads/{thread_id}/runs", data=body) as answer:
        assert answer.status == 200, await answer.text()


async def test_an_unknown_route_is_404_and_a_wrong_method_405(refused, thread_id):
    assert (await refused("GET", "/nothing/here", 404))["code"] == "route-not-found"
    problem = await refused("PUT", f"/threads/{thread_id}/state", 405)
    assert problem["code"] == "method-not-allowed"
    await refused("DELETE", "/threads", 405)


async def test_threads_options_that_are_not_honoured_are_named(refused):
    problem = await refused("POST", "/threads", 422, json={"supersteps": [1]})
    assert "supersteps" in problem["detail"]
    await refused("POST", "/threads", 422, json={"if_exists": "explode"})
    await refused("POST", "/threads", 422, json={"metadata": [1]})


async def test_threads_are_not_searched_by_what_they_hold(refused):
    for option in ("values", "extract"):
        problem = await refused("POST", "/threads/search", 422, json={option: {"a": "b"}})
        assert option in problem["detail"]


async def test_what_else_the_platform_serves_is_not_there(refused, thread_id):
    for path in ("/mcp", "/a2a/echo", "/ui/echo"):
        await refused("POST", path, 404, json={})
    await refused("GET", f"/threads/{thread_id}/stream/events", 405)
