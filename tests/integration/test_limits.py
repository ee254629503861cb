"""What is too much is refused by name, stores nothing, and harms nobody else."""

import asyncio
import gzip
import json
from contextlib import AsyncExitStack

import pytest
from named_users import USER, authenticate
from prometheus_client import CollectorRegistry
from raw_http import raw_connections, request

from api.limits.refusals import LIMITS, Refusals
from api.limits.settings import LimitSettings
from api.metrics import METRICS

ECHO = {"assistant_id": "echo"}


class Limited:
    """A gateway with narrow limits."""

    def __init__(self, gateway, http, connect, stored):
        self.url, self.http, self._app = gateway.url, http, gateway.app
        self._connect, self._stored = connect, stored

    async def connect(self, **options):
        return await self._connect(self.url, **options)

    async def post(self, path, body, user=None):
        """Return status, and the problem's code or else the document."""
        headers = {} if user is None else {USER: user}
        async with self.http.post(path, json=body, headers=headers) as answer:
            document = await answer.json()
        return answer.status, document.get("code", document)

    async def remember(self):
        self._before = await self._stored()

    async def has_stored_nothing(self):
        return await self._stored() == self._before

    def refused(self, code):
        return self._app[METRICS].get_sample_value("jetrun_http_refused_total", {"limit": code})


@pytest.fixture
async def limited(start_gateway, new_session, stored, wire, open_run):
    """Start a gateway with limits; another client reads a run there till the end of the test."""
    async with AsyncExitStack() as stack:
        connect = await stack.enter_async_context(raw_connections())
        readers = []

        async def start(authenticate=None, *, http=None, **limits):
            settings = LimitSettings(**limits)
            gateway = await start_gateway(authenticate, limits=settings, **(http or {}))
            session = await new_session(gateway.url)
            reading = wire.read(session, f"{open_run.path}/stream")
            readers.append(await stack.enter_async_context(reading))
            assert (await readers[-1].next_event())["event"] == "metadata"
            limited = Limited(gateway, session, connect, stored)
            await limited.remember()
            return limited

        yield start
        event_id = await open_run.publish("updates", "still here")
        for frames in readers:
            while (await frames.next_event())["id"] != event_id:
                pass


def post(body=b"x", **headers):
    return request("POST", "/runs", body, **headers)


UNSOUND = {
    "a long URL": (request("GET", "/ok?" + "x" * 600), 414, "url-too-long"),
    "a long header": (request("GET", "/ok", A="x" * 1100), 431, "headers-too-large"),
    "a long name": (request("GET", "/ok", **{"A" * 1100: "x"}), 431, "headers-too-large"),
    "many": (request("GET", "/ok", **{f"A{i}": "x" for i in range(30)}), 431, "headers-too-large"),
    "nonsense": (b"nonsense\r\n\r\n", 400, "malformed-request"),
    "no host": (b"GET /ok HTTP/1.1\r\n\r\n", 400, "malformed-request"),
    "no colon": (b"GET /ok HTTP/1.1\r\nHost: a\r\nA b\r\n\r\n", 400, "malformed-request"),
    "a null": (b"GET /ok HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n", 400, "malformed-request"),
    "less than nothing": (post(Content_Length="-1"), 400, "malformed-request"),
    "two lengths": (post(Transfer_Encoding="chunked"), 400, "malformed-request"),
    "not installed": (post(Content_Encoding="br"), 415, "unsupported-encoding"),
    "unknown": (post(Content_Encoding="zip"), 415, "unsupported-encoding"),
    "twice": (post(Content_Encoding="gzip, gzip"), 415, "unsupported-encoding"),
    "an expectation": (post(Expect="wonders"), 417, "http-417"),
}


async def test_a_request_that_is_unsound_or_too_large_is_refused(limited):
    gateway = await limited(max_url_bytes=512, max_header_bytes=1024, max_headers=20)
    codes = []
    for name, (sent, status, code) in UNSOUND.items():
        client = await gateway.connect()
        client.send(sent)
        assert await client.problem() == (status, code), name
        codes.append(code)
    assert await gateway.has_stored_nothing()
    counted = {code: gateway.refused(code) for code in codes if code in LIMITS}
    assert counted == {code: codes.count(code) for code in counted}


async def test_a_head_that_comes_too_slowly_is_cut_off(limited):
    gateway = await limited(head_timeout_s=0.3)
    slow, silent = await gateway.connect(), await gateway.connect()
    dripping = asyncio.create_task(slow.drip(request("GET", "/ok", A="x" * 1000)))
    assert await slow.problem() == (408, "request-timeout")
    assert await slow.is_closed()
    await dripping
    silent.send(request("GET", "/ok"))  # only a request that has begun must go on
    assert (await silent.answer())[0] == 200


async def test_a_slow_head_behind_an_answer_is_cut_off_as_well(limited):
    gateway = await limited(head_timeout_s=0.3)
    client = await gateway.connect()
    client.send(request("GET", "/ok"))
    assert (await client.answer())[0] == 200
    client.send(b"GET /ok HT")
    assert await client.problem() == (408, "request-timeout")


async def test_a_connection_that_says_nothing_is_closed(limited):
    gateway = await limited(idle_connection_s=0.3)
    fresh, used = await gateway.connect(), await gateway.connect()
    used.send(request("GET", "/ok"))
    assert (await used.answer())[0] == 200
    assert await fresh.is_closed()
    assert await used.is_closed()


async def test_a_body_that_comes_too_slowly_is_refused(limited):
    gateway = await limited(body_timeout_s=0.3)
    client = await gateway.connect()
    sent = request("POST", "/runs", json.dumps({**ECHO, "input": "x" * 1000}).encode())
    client.send(sent[:-1000])
    dripping = asyncio.create_task(client.drip(sent[-1000:]))
    assert await client.problem() == (408, "request-timeout")
    assert await gateway.has_stored_nothing()
    dripping.cancel()


async def test_there_are_only_so_many_connections(limited, eventually):
    gateway = await limited(max_connections=3)  # one is the reader's
    first, second, third = [await gateway.connect() for _ in range(3)]
    assert await third.problem() == (503, "too-many-connections")
    assert await third.is_closed()
    second.send(request("GET", "/ok"))
    assert (await second.answer())[0] == 200
    first.writer.close()

    async def is_taken():
        client = await gateway.connect()
        client.send(request("GET", "/ok"))
        return (await client.answer())[0] == 200

    await eventually(is_taken)


async def test_one_address_has_only_so_many_connections_and_others_have_theirs(limited):
    gateway = await limited(
        max_connections_per_address=2, proxies=("127.0.0.1/32",)
    )  # whence the reader comes
    clients = [await gateway.connect(address="127.0.0.2") for _ in range(3)]
    assert await clients[2].problem() == (429, "too-many-address-connections")
    for address in ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.3"):
        client = await gateway.connect(address=address)
        client.send(request("GET", "/ok"))
        assert (await client.answer())[0] == 200


async def test_a_client_that_does_not_take_its_answer_is_cut_off(limited, open_run, eventually):
    await open_run.publish("updates", "x" * (4 << 20))
    gateway = await limited(http={"stall_s": 0.3})
    client = await gateway.connect(receive_buffer=4096)
    client.writer.transport.pause_reading()
    client.send(request("GET", f"{open_run.path}/events"))
    await eventually(lambda: gateway.refused("stalled-reader") == 1, within_s=20)


async def test_a_small_body_that_unpacks_into_a_large_one_is_refused(limited):
    gateway = await limited()
    bomb = gzip.compress(b'{"assistant_id": "echo", "input": "' + b"x" * (64 << 20) + b'"}')
    assert len(bomb) < 100_000
    client = await gateway.connect()
    client.send(request("POST", "/runs", bomb, Content_Encoding="gzip"))
    assert await client.problem() == (413, "body-too-large")
    assert await gateway.has_stored_nothing()


async def test_a_packed_body_is_read(limited):
    gateway = await limited()
    body = gzip.compress(json.dumps(ECHO).encode())
    client = await gateway.connect()
    client.send(request("POST", "/runs", body, Content_Encoding="gzip"))
    assert (await client.answer())[0] == 200


@pytest.mark.parametrize("inner", [b"1", b"1" * 30], ids=["plain", "with a long number"])
@pytest.mark.parametrize("depth", [130, 990])
async def test_a_body_that_is_nested_too_deep_is_refused(limited, open_run, inner, depth):
    gateway = await limited()
    client = await gateway.connect()
    for path, name in (("/runs", "input"), (f"{open_run.path}/events", "data")):
        nested = b"[" * depth + inner + b"]" * depth
        body = b'{"assistant_id": "echo", "event": "a", "%b": %b}' % (name.encode(), nested)
        client.send(request("POST", path, body))
        assert await client.problem() == (422, "json-too-deep")
    assert await gateway.has_stored_nothing()


async def test_bodies_that_arrive_take_only_so_much_together(limited):
    gateway = await limited(max_pending_body_bytes=100_000)
    slow, other = await gateway.connect(), await gateway.connect()
    sent = request("POST", "/runs", json.dumps({**ECHO, "input": "x" * 90_000}).encode())
    slow.send(sent[:-1])
    refused = (503, "too-many-bodies")
    for _ in range(100):  # until the first one has arrived
        if (found := await gateway.post("/threads", {"metadata": {"a": "x" * 50_000}})) == refused:
            break
    assert found == refused
    other.send(request("POST", "/runs/count", b"{}"))
    assert (await other.answer())[0] != 503
    slow.send(sent[-1:])
    assert (await slow.answer())[0] == 200
    assert (await gateway.post("/threads", {"metadata": {"a": "x" * 50_000}}))[0] == 200


async def test_a_user_has_only_so_many_streams_and_others_have_theirs(limited, wire):
    gateway = await limited(authenticate, max_streams_per_user=2)
    async with AsyncExitStack() as stack:

        async def open_stream(path, user):
            headers = {USER: user}
            return await stack.enter_async_context(wire.read(gateway.http, path, headers=headers))

        runs = {}
        for user in ("her", "him"):
            _, made = await gateway.post("/runs", ECHO, user)
            runs[user] = f"/threads/{made['thread_id']}/runs/{made['run_id']}/stream"
        for _ in range(2):
            assert await (await open_stream(runs["her"], "her")).next_event()
        await gateway.remember()
        declined = await (await open_stream(runs["her"], "her")).rest()
        assert declined.startswith(b": 2 streams of this user are open")
        for path in ("/runs/stream", "/runs/wait"):
            assert await gateway.post(path, ECHO, "her") == (429, "too-many-user-streams")
        assert await gateway.has_stored_nothing()
        assert await (await open_stream(runs["him"], "him")).next_event()


async def test_a_run_gets_only_so_many_events_a_second_and_others_get_theirs(
    limited, open_run, stored, eventually
):
    gateway = await limited(max_events_per_run_s=5)
    _, made = await gateway.post("/runs", ECHO)
    other = f"/threads/{made['thread_id']}/runs/{made['run_id']}"

    async def append(path):
        return (await gateway.post(f"{path}/events", {"event": "updates", "data": 1}))[0]

    (before, _) = await stored()
    statuses = [await append(open_run.path) for _ in range(50)]
    assert set(statuses) == {201, 429}
    assert statuses[:5] == [201] * 5
    assert await append(other) == 201
    (after, _) = await stored()
    assert after - before == statuses.count(201) + 1
    assert gateway.refused("too-many-events") == statuses.count(429)

    async def is_taken():
        return await append(open_run.path) == 201

    await eventually(is_taken)


def test_every_limit_is_counted_from_zero_and_nothing_else_is():
    registry = CollectorRegistry()
    refusals = Refusals()
    registry.register(refusals)
    refusals.note("body-too-large")
    refusals.note("what a client invented")
    name = "jetrun_http_refused_total"
    counts = {code: registry.get_sample_value(name, {"limit": code}) for code in LIMITS}
    assert counts == {**dict.fromkeys(LIMITS, 0), "body-too-large": 1}
