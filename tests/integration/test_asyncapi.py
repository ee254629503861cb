"""The AsyncAPI document says what is on NATS: every message seen fits, everything said is seen."""

import asyncio
import json
import re
from collections import defaultdict
from functools import partial
from pathlib import Path

import nats
import pytest
from json_schema import problems, resolve

from api.asyncapi import asyncapi_document
from api.asyncapi.messages import CONTROL_EVENTS
from api.auth.api_keys import ApiKeyGrant, ApiKeys
from bridge import LogSettings, NoAnswerError, Subjects, new_event
from bridge.events import MAX_EVENT_NAME_LENGTH, MAX_NAME_LENGTH
from bridge.retention.departure import Departure
from bridge.roll_call import RollCall
from runs import (
    AssistantCatalog,
    RunManager,
    RunObservation,
    RunObserver,
    RunSettings,
    RunSpec,
)
from runs.graph_questions import GraphQuestion
from runs.webhooks.announcing import Webhooks
from store.jetstream_store import ERASED
from store.sink_status import SinkRecords

DOCUMENT = asyncapi_document()
DOCS = Path(__file__).parents[2] / "docs"
STREAMS = ("EVENTS", "STATE", "SECRETS", "JOBS", "TIMERS", "DEAD", "CHECKPOINTS", "ITEMS")
#: Names that stand in a pattern for one token of a subject.
TOKEN = r"[A-Za-z0-9_~-]+"


def channel_of(subject):
    """The name of the channel that documents a subject; the most literal one counts."""
    fitting = []
    for name, channel in DOCUMENT["channels"].items():
        pattern = re.sub(r"\\\{\w+\\\}", lambda _: TOKEN, re.escape(channel["address"]))
        if re.fullmatch(pattern, subject):
            fitting.append((len(channel["parameters"]), name))
    assert fitting, f"{subject} is not documented"
    return min(fitting)[1]


def message_of(channel, headers):
    """The documented message that a message on a channel is."""
    named = DOCUMENT["channels"][channel]["messages"]
    name = headers.get("Run-Event") if channel == "events" else None
    reference = (
        named.get(name, named["event"]) if channel == "events" else next(iter(named.values()))
    )
    return resolve(reference["$ref"], DOCUMENT)


def payload_of(data, message):
    if message["contentType"] == "application/octet-stream":
        return data.decode("latin-1")
    if message["contentType"] == "text/plain":
        return data.decode()
    return json.loads(data)


@pytest.fixture
async def client(server):
    connection = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )
    yield connection
    await connection.close()


TRACE_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def seen(client):
    """Every message on the subjects of jetrun from now on, as it crosses the server."""
    messages = []

    async def note(message):
        messages.append((message.subject, message.headers or {}, message.data))

    await client.subscribe("jetrun.>", cb=note)
    await client.flush()
    return messages


async def stored(client):
    """Every message that the streams hold."""
    found = []
    for stream in STREAMS:
        js = client.jetstream()
        state = (await js.stream_info(f"JETRUN_{stream}")).state
        for seq in range(state.first_seq, state.last_seq + 1):
            try:
                message = await js.get_msg(f"JETRUN_{stream}", seq)
            except nats.js.errors.NotFoundError:
                continue
            found.append((message.subject, message.headers or {}, message.data or b""))
    return found


async def ask_nobody(bridge):
    question = GraphQuestion(wants="schemas").encode()
    with pytest.raises(NoAnswerError):
        await bridge.calls.ask("graph", question, within_s=0.1, is_repeatable=True)


class Deaf(RunObserver):
    """Wants to hear nothing."""


async def announce_and_observe(gateway, open_run):
    run = await gateway.facade.get_run(open_run.thread_id, open_run.run_id)
    told = run.model_copy(update={"webhook": "https://example.org"})
    await Webhooks(gateway.bridge).announce(told)
    async with RunObservation(gateway.bridge, Deaf(), "audit").running():
        pass
    grant = {"user_id": "her", "role": "user", "scopes": ["read"], "expires_at": None}
    await ApiKeys(gateway.bridge).create(ApiKeyGrant(name="test", **grant))


LARGE = b"x" * (9 << 20)


async def keep_what_graphs_keep(bridge):
    log = bridge.checkpoints
    claim = await log.claim("graphs", run_id="run")
    await log.append(claim, "", "small", b"{}")
    await log.append(claim, "", "large", LARGE)
    await log.annotate(claim, "", "large", LARGE)
    for entry_id in ("small", "large"):
        await log.keep(await log.find("graphs", "", entry_id))
    await log.erase("graphs")
    await bridge.items.put(("label",), "key", {"a": 1}, ttl_s=1)
    begun = asyncio.get_running_loop().time()
    # A read renews it once a hundredth of its time is over.
    while asyncio.get_running_loop().time() < begun + 0.05:
        await bridge.items.find(("label",), "key", refresh=True)


async def count_say_and_sign(bridge, http, open_run):
    limited = RunSettings(max_runs_per_assistant=100)
    manager = RunManager(bridge, AssistantCatalog({}), limited)
    await manager.create(RunSpec(assistant_id="echo"))
    async with http.post(f"{open_run.path}/token", json={}) as answer:
        assert answer.status == 200, await answer.text()
    await SinkRecords(bridge).wish(paused=False)
    await bridge.states.create(ERASED, "erased", b"{}")


async def leave_a_fired_timer(client, http):
    until = json.dumps({"pause_until": "2100-01-01T00:00:00Z"}).encode()
    await client.request("$JS.API.CONSUMER.PAUSE.JETRUN_TIMERS.fired_run", until)
    async with http.post("/runs", json={"assistant_id": "echo", "after_seconds": 0.1}) as answer:
        assert answer.status == 200, await answer.text()


async def end_in_every_way(bridge):
    for kind, data in (
        ("end", {"status": "success", "outputs": None, "error": None}),
        ("cancel", {"status": "interrupted", "outputs": None, "error": None}),
        (
            "error",
            {
                "status": "error",
                "outputs": None,
                "error": {"error": "KeyError", "message": "x"},
            },
        ),
        ("dead_letter", {"reason": "worker_lost", "timestamp": "2026-11-20T00:00:00Z"}),
        ("end", None),
    ):
        run_id = f"{kind}-{data is None}"
        await bridge.create(run_id, thread_id="endings")
        await bridge.publish_terminal(run_id, kind, data)


async def publish_in_every_way(bridge, run):
    await run.publish("plain", {"n": 1}, event_id="once", metadata={"k": 1})
    await run.publish("n" * MAX_EVENT_NAME_LENGTH, {}, category="c" * MAX_NAME_LENGTH)
    await run.publish_many([new_event("burst", n) for n in range(60)])
    await bridge.publish_event(run.run_id, new_event("traced", 1)._replace(trace=TRACE_PARENT))


async def do_everything(bridge, http, open_run, start_worker):
    """Have every kind of message published."""
    await publish_in_every_way(bridge, open_run)
    await bridge.mark_awaiting_input(open_run.run_id)
    async with bridge.consume("strict", run_id=open_run.run_id) as deliveries:
        async for delivery in deliveries:
            if delivery.event.event == "plain":
                await delivery.term("not wanted")
                break
            await delivery.ack()
    await bridge.begin_attempt(open_run.run_id, 2)
    await end_in_every_way(bridge)
    await bridge.cleanup("end-True")
    ended = (await bridge.status("cancel-False")).terminal
    await Departure(bridge._log, bridge.states, bridge._seals).remove(ended)
    for roll_call in (bridge.holders, RollCall(bridge._connection, Subjects().readers)):
        await roll_call.ask([open_run.run_id])
    await start_worker()  # before, it would take the open run
    keyed = {"assistant_id": "echo", "input": {"events": 2}}
    async with http.post("/runs/wait", json=keyed, headers={"Idempotency-Key": "k"}) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()
    for made, body in (
        ("/runs", {"assistant_id": "echo", "after_seconds": 3600}),
        ("/assistants", {"graph_id": "echo"}),
    ):
        async with http.post(made, json=body) as answer:
            assert answer.status == 200, await answer.text()
    path = f"{open_run.path}/cancel"
    async with http.post(path) as answer:
        assert answer.status in (202, 409), await answer.text()


@pytest.fixture
def everything(bridge, gateway, http, client, open_run, start_worker):
    """Have every kind of message published: ``await everything()``."""
    return partial(have_all_published, bridge, gateway, http, client, open_run, start_worker)


async def have_all_published(bridge, gateway, http, client, open_run, start_worker):
    await announce_and_observe(gateway, open_run)
    await do_everything(bridge, http, open_run, start_worker)
    await keep_what_graphs_keep(bridge)
    await count_say_and_sign(bridge, http, open_run)
    await leave_a_fired_timer(client, http)
    await gateway.facade.crons.create(RunSpec(assistant_id="echo"), "0 0 29 2 *")
    await ask_nobody(gateway.bridge)


async def test_every_message_fits_the_document_and_everything_documented_is_seen(
    seen, client, everything, eventually
):
    async with asyncio.timeout(60):
        await everything()
    channels = set(DOCUMENT["channels"])

    async def is_complete():
        found = [*seen, *await stored(client)]
        return {channel_of(subject) for subject, *_ in found} == channels

    await eventually(is_complete, within_s=15)
    headers_seen, events_seen, wrong = defaultdict(set), set(), []
    for subject, headers, data in [*seen, *await stored(client)]:
        channel = channel_of(subject)
        message = message_of(channel, headers)
        headers_seen[channel] |= headers.keys()
        if channel == "events":
            events_seen.add(headers["Run-Event"])
        wrong += problems(dict(headers), message["headers"], DOCUMENT, subject)
        if data or message["contentType"] == "text/plain":
            wrong += problems(payload_of(data, message), message["payload"], DOCUMENT, subject)
    assert wrong == []
    assert events_seen >= CONTROL_EVENTS.keys()
    for name, channel in DOCUMENT["channels"].items():
        documented = set()
        for message in channel["messages"].values():
            documented |= resolve(message["$ref"], DOCUMENT)["headers"]["properties"].keys()
        assert headers_seen[name] == documented, name


def test_the_check_notices_what_is_not_documented():
    message = message_of("events", {"Run-Event": "note"})
    headers = dict.fromkeys(message["headers"]["required"], "1")
    assert problems(headers, message["headers"], DOCUMENT) == []
    assert problems({**headers, "Run-New": "1"}, message["headers"], DOCUMENT)
    assert problems({**headers, "Run-Seq": "one"}, message["headers"], DOCUMENT)
    del headers["Run-Seq"]
    assert problems(headers, message["headers"], DOCUMENT)
    with pytest.raises(AssertionError, match="not documented"):
        channel_of("jetrun.news.thread.run")


def test_every_reference_leads_somewhere_and_every_message_is_used():
    text = json.dumps(DOCUMENT)
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', text)):
        resolve(reference, DOCUMENT)
    used = {
        message["$ref"].rsplit("/", 1)[1]
        for channel in DOCUMENT["channels"].values()
        for message in channel["messages"].values()
    }
    assert used == DOCUMENT["components"]["messages"].keys()
    assert DOCUMENT["asyncapi"] == "3.0.0"


def test_the_document_in_docs_is_the_one_that_the_code_makes():
    assert json.loads((DOCS / "asyncapi.json").read_text()) == DOCUMENT, (
        "write it anew: python -m api.asyncapi docs/asyncapi.json"
    )


async def test_a_gateway_serves_the_document_with_its_own_prefix(start_gateway, new_session):
    http = await new_session((await start_gateway(log=LogSettings(prefix="mine"))).url)
    async with http.get("/asyncapi.json") as answer:
        assert answer.status == 200
        served = await answer.json()
    assert served == asyncapi_document("mine")
    addresses = {channel["address"] for channel in served["channels"].values()}
    assert all(address.startswith("mine.") for address in addresses)
