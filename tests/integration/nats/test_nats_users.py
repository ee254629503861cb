"""Each user of nats.conf can do its job, and is refused everything else: by trying."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import nats
import pytest
from commands import run_command

from api.nats_permissions import Roles, render_users
from api.nats_server import as_operator, as_role
from api.settings import Role
from bridge import (
    AccessDeniedError,
    BridgeSettings,
    JetStreamBridge,
    NatsSettings,
    NatsUser,
    RunRef,
    StreamsMissingError,
    make_streams,
)
from runs.webhooks.announcing import LINE
from store import ArchiveColdTier

ROOT = Path(__file__).parents[3]
STREAMS = ("EVENTS", "STATE", "SECRETS", "JOBS", "TIMERS", "DEAD", "CHECKPOINTS", "ITEMS")

#: What nobody but the operator may do to a stream.
OF_OPERATORS = [
    *(
        f"$JS.API.STREAM.{verb}.JETRUN_{stream}"
        for verb in ("CREATE", "UPDATE", "DELETE", "MSG.DELETE", "SNAPSHOT", "RESTORE")
        for stream in STREAMS
    ),
    *(f"$JS.API.STREAM.PURGE.JETRUN_{stream}" for stream in ("STATE", "SECRETS", "JOBS")),
    "$JS.API.STREAM.CREATE.OTHER",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.LEADER.STEPDOWN.JETRUN_EVENTS",
    "$JS.API.META.LEADER.STEPDOWN",
    "$JS.API.CONSUMER.CREATE.JETRUN_EVENTS.spy.jetrun.events.>",
    "$JS.API.CONSUMER.DURABLE.CREATE.JETRUN_STATE.spy",
    "$JS.API.CONSUMER.DURABLE.CREATE.JETRUN_SECRETS.spy",
    "$SYS.REQ.SERVER.PING",
    "somewhere.else",
]
#: What one user may do and these others may not.
OF_OTHERS = {
    NatsUser.GATEWAY: [
        "$JS.ACK.JETRUN_EVENTS.sink.1.1.1.1.1",
        "$JS.API.CONSUMER.DELETE.JETRUN_EVENTS.sink",
        "$JS.API.CONSUMER.MSG.NEXT.JETRUN_EVENTS.analytics",
        "$JS.API.CONSUMER.MSG.NEXT.JETRUN_JOBS.work_echo",
        "$JS.API.CONSUMER.MSG.NEXT.JETRUN_TIMERS.fired_run",
        "jetrun.state.00.sink.wish",
        "jetrun.timer.fired.cron.daily",
        "jetrun.dead.analytics.thread.run",
    ],
    NatsUser.WORKER: [
        "$JS.API.STREAM.MSG.GET.JETRUN_SECRETS",
        "$JS.API.DIRECT.GET.JETRUN_SECRETS",
        "$JS.API.DIRECT.GET.JETRUN_SECRETS.jetrun.secret.00.api-key.key",
        "jetrun.secret.00.api-key.key",
        "jetrun.state.00.assistant.mine",
        "jetrun.state.00.cron.daily",
        "jetrun.state.00.key.key",
        "jetrun.state.00.sink.wish",
        "$JS.API.CONSUMER.DURABLE.CREATE.JETRUN_EVENTS.mine",
        "$JS.ACK.JETRUN_EVENTS.sink.1.1.1.1.1",
        f"$JS.API.CONSUMER.MSG.NEXT.JETRUN_JOBS.work_{LINE}",
        "$JS.API.CONSUMER.MSG.NEXT.JETRUN_TIMERS.fired_cron",
        "jetrun.call.graph",
    ],
    NatsUser.SINK: [
        "$JS.API.STREAM.MSG.GET.JETRUN_SECRETS",
        "$JS.API.STREAM.MSG.GET.JETRUN_CHECKPOINTS",
        "$JS.API.STREAM.PURGE.JETRUN_CHECKPOINTS",
        "jetrun.events.00.thread.run",
        "jetrun.state.00.run.run",
        "jetrun.state.00.thread.thread",
        "jetrun.job.echo.run",
        "jetrun.control.run",
        "$JS.ACK.JETRUN_JOBS.work_echo.1.1.1.1.1",
        "$JS.API.CONSUMER.DURABLE.CREATE.JETRUN_EVENTS.other",
    ],
    NatsUser.ANALYTICS: [
        "$JS.API.STREAM.MSG.GET.JETRUN_STATE",
        "$JS.API.STREAM.MSG.GET.JETRUN_SECRETS",
        "$JS.API.STREAM.PURGE.JETRUN_EVENTS",
        "jetrun.events.00.thread.run",
        "jetrun.live.00.thread.run",
        "jetrun.state.00.run.run",
        "jetrun.job.echo.run",
        "jetrun.dead.sink.thread.run",
        "$JS.ACK.JETRUN_EVENTS.sink.1.1.1.1.1",
        "$JS.API.CONSUMER.DURABLE.CREATE.JETRUN_EVENTS.sink",
    ],
}
UNHEARD = {
    NatsUser.GATEWAY: ["_INBOX.worker.>", "_INBOX.>", "jetrun.>", ">", "jetrun.control.*"],
    NatsUser.WORKER: ["_INBOX.gateway.>", "jetrun.secret.>", "jetrun.state.>", "jetrun.events.>"],
    NatsUser.SINK: ["_INBOX.gateway.>", "jetrun.control.*", "jetrun.call.*", "jetrun.job.>"],
    NatsUser.ANALYTICS: ["_INBOX.gateway.>", "jetrun.state.>", "jetrun.roll.holders", ">"],
}


@pytest.fixture
async def streams(server, settings):
    await make_streams(as_operator(settings, server).bridge)


@pytest.fixture
async def connect(server, streams):  # noqa: ARG001 - they exist
    """Connect as a user; what it is refused is collected beside: ``await connect(user)``."""
    async with AsyncExitStack() as stack:

        async def connect(user):
            refused = set()

            async def note(error):
                refused.add(str(error).rsplit(' to "', 1)[-1].rstrip('"'))

            password = server.password_of(user).get_secret_value()
            client = await nats.connect(server.url, user=user, password=password, error_cb=note)
            stack.push_async_callback(client.close)
            return client, refused

        yield connect


async def settle(client):
    """Wait until the server has judged everything: nats-py sends the first ping ahead of it."""
    await client.flush()
    await client.flush()


def example(subject):
    """Return a subject that matches one with wildcards."""
    return subject.replace("*", "x").replace(">", "x.y")


def matches(subject, patterns):
    return any(_matches(subject.split("."), pattern.split(".")) for pattern in patterns)


def _matches(subject, pattern):
    if pattern[-1] == ">":
        pattern, subject = pattern[:-1], subject[: len(pattern) - 1]
    pairs = zip(pattern, subject, strict=False)
    return len(pattern) == len(subject) and all(want in ("*", have) for want, have in pairs)


def test_nats_conf_has_the_users_that_the_code_needs():
    assert render_users() in (ROOT / "nats.conf").read_text()
    assert "jetrun" not in render_users("acme").lower()


@pytest.mark.parametrize("user", NatsUser)
async def test_what_a_user_may_not_publish_is_refused(connect, user):
    client, refused = await connect(user)
    forbidden = [*OF_OPERATORS, *OF_OTHERS[user]]
    for subject in forbidden:
        await client.publish(subject)
    await settle(client)
    assert refused == {subject.lower() for subject in forbidden}


@pytest.mark.parametrize("user", NatsUser)
async def test_what_a_user_may_not_hear_is_refused(connect, user):
    client, refused = await connect(user)
    for subject in UNHEARD[user]:
        await client.subscribe(subject)
    await settle(client)
    assert refused == {subject.lower() for subject in UNHEARD[user]}


@pytest.mark.parametrize("user", NatsUser)
async def test_the_server_decides_as_the_table_says_about_every_subject_of_every_user(
    connect, user
):
    table = {each: Roles().of(each) for each in NatsUser}
    client, refused = await connect(user)
    everything = {
        example(subject)
        for each in table.values()
        for subject in (*each.publish, *each.denied, *each.subscribe)
    }
    mine = table[user]
    expected = {
        subject
        for subject in everything
        if not matches(subject, mine.publish) or matches(subject, mine.denied)
    }
    for subject in everything:
        await client.publish(subject)
    await settle(client)
    assert refused == {subject.lower() for subject in expected}


@pytest.mark.usefixtures("streams")
async def test_a_call_that_is_refused_fails_at_once_and_is_logged(server, settings, caplog):
    access = as_role(settings, server, Role.SINK)
    async with JetStreamBridge(access.bridge) as bridge:
        async with asyncio.timeout(settings.log.request_timeout_s):
            with pytest.raises(AccessDeniedError, match=r"jetrun\.state\..*\.run\.run-1"):
                await bridge.states.create("run", "run-1", b"{}")
            with pytest.raises(AccessDeniedError, match="JETRUN_SECRETS"):
                await bridge.secrets.find_many("api-key", ["key-1"])
        assert await bridge.states.find("run", "run-1") is None
    assert "nats.denied" in caplog.text


async def test_who_may_not_make_the_streams_says_who_may_and_waits_for_them(server, settings):
    access = as_role(settings, server, Role.GATEWAY)
    with pytest.raises(StreamsMissingError, match="jetrun streams") as caught:
        await JetStreamBridge(access.bridge).start()
    assert caught.value.retryable
    status, shown, _ = await run_command(as_operator(settings, server), "streams")
    assert status == 0
    assert "JETRUN_EVENTS" in shown
    async with JetStreamBridge(access.bridge) as bridge:
        assert bridge.is_connected


@pytest.fixture
async def page(http, start_role):
    """A run of a thread that was executed, streamed and subscribed over HTTP; its reference."""
    for role in (Role.WORKER, Role.SINK):
        await start_role(role)
    async with http.post("/threads", json={}) as answer:
        thread_id = (await answer.json())["thread_id"]
    given = {"assistant_id": "echo", "input": {"events": 5}, "stream_mode": "custom"}
    async with http.post(f"/threads/{thread_id}/runs/stream", json=given) as answer:
        assert (await answer.text()).count("event: echo") == 5
    run = RunRef(thread_id, answer.headers["Content-Location"].split("/")[4])
    path = f"/threads/{thread_id}/runs/{run.run_id}/stream"
    async with http.get(path, params={"subscription": "page"}) as answer:
        assert (await answer.text()).count("event: echo") == 5
    return run


async def analyse(bridge, name):
    """Read a run as a service does: all is handled but the second event, which is given up."""
    async with bridge.consume(name) as deliveries:
        async for delivery in deliveries:
            if delivery.event.run_seq == 2:
                await delivery.term("not for us")
            else:
                await delivery.ack()
            if delivery.event.is_terminal:
                return


async def test_all_of_them_together_do_their_work_and_are_refused_nothing(
    server, settings, http, page, eventually
):
    name, password = "analytics", server.password_of(NatsUser.ANALYTICS)
    access = BridgeSettings(nats=NatsSettings(url=server.url, user=name, password=password))
    async with JetStreamBridge(access) as bridge:
        await analyse(bridge, name)
        assert len(await bridge.list_dead_letters(name)) == 1
    archive = ArchiveColdTier(settings.data)

    async def is_archived():
        last = await archive.find_last(page)
        return last is not None and last.is_terminal

    await eventually(is_archived, within_s=20)
    async with http.delete(f"/threads/{page.thread_id}") as answer:
        assert answer.status == 204
    assert "Violation" not in server.log_path.read_text()
