"""The doctor names what is wrong with a deployment; each of these is broken for real."""

import asyncio
import json
import re
import shutil
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from commands import run_command
from lossy_wire import LossyProxy

from api.auth.api_keys import ApiKeyGrant, ApiKeys
from api.auth.caller import Role as CallerRole
from api.auth.caller import Scope
from api.auth.settings import AuthSettings
from api.doctor.archive_checks import check_disk
from api.doctor.diagnosis import diagnose
from api.doctor.report import Cause, Durability, Severity
from api.doctor.stores import Disk
from api.nats_server import as_operator, as_role, embedded_server
from api.settings import Role, Settings
from bridge import (
    EmbeddedServer,
    EmbeddedServerSettings,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    RunRef,
    make_streams,
)
from bridge.server import embedded
from bridge.server.cluster import EmbeddedCluster
from bridge.server.free_port import pick_free_port
from store import SinkRecords, sink_status
from store.sink import Sink

RUN = RunRef("thread", "run")


def causes(report):
    """Return what was found, by cause; full disks of those who run the tests do not count."""
    return {
        each.cause: each for each in report.findings if each.cause is not Cause.DISK_NEARLY_FULL
    }


async def cause_in(settings, cause):
    found = causes(await diagnose(settings))
    assert cause in found, found
    return found[cause]


def changed(settings, **nats):
    return settings.model_copy(update={"nats": settings.nats.model_copy(update=nats)})


@pytest.fixture
async def log(settings):
    """The log as the first process makes it."""
    async with JetStreamBridge(settings.bridge) as bridge:
        yield bridge


@pytest.fixture
def sinking(log, settings):
    """Run a sink for the length of a context."""

    @asynccontextmanager
    async def run():
        stop = asyncio.Event()
        running = asyncio.create_task(Sink(log, settings.data, settings.archive).run(stop))
        try:
            yield
        finally:
            stop.set()
            await running

    return run


@pytest.fixture
def monitored(tmp_path, monkeypatch):
    """Run a server with monitoring: ``async with monitored(sync_always=True) as settings``."""
    port = pick_free_port("127.0.0.1")
    make = embedded.nats_conf_variables

    def with_monitoring(*arguments):
        return {**make(*arguments), "NATS_MONITOR": f'"127.0.0.1:{port}"'}

    @asynccontextmanager
    async def run(settings, **server_settings):
        monkeypatch.setattr(embedded, "nats_conf_variables", with_monitoring)
        own = EmbeddedServerSettings(**server_settings)
        async with EmbeddedServer(tmp_path / "monitored", own) as server:
            address = {"url": server.url, "user": server.user, "password": server.password}
            yield changed(settings, **address, monitor_url=f"http://127.0.0.1:{port}")

    return run


@pytest.fixture
async def proxy(server):
    async with LossyProxy(server.port) as running:
        yield running


async def test_nothing_is_wrong_with_a_synced_log_that_is_archived(
    settings, log, sinking, eventually
):
    assert log.is_connected
    well = changed(settings, sync_always=True)
    async with sinking():

        async def nothing_is_wrong():
            return causes(await diagnose(well)) == {}

        await eventually(nothing_is_wrong)
        assert (await diagnose(well)).durability is Durability.MACHINE


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("version", "cause"), [("2.11.4", Cause.OLD_SERVER), ("2.12.1", Cause.KNOWN_LOSS)]
)
async def test_an_old_server_is_named_with_what_to_upgrade_to(settings, proxy, version, cause):
    async def announce(_wire, message):
        if message.verb == b"INFO":
            told = f'"version":"{version}"'.encode()
            message.raw = re.sub(rb'"version":"[^"]*"', told, message.raw)
        return True

    proxy.on_down = announce
    finding = await cause_in(changed(settings, url=proxy.url), cause)
    assert version in finding.detail
    assert "upgrade nats-server" in finding.advice


async def test_a_server_without_jetstream_is_named(settings, proxy):
    async def announce(_wire, message):
        message.raw = message.raw.replace(b'"jetstream":true', b'"jetstream":false')
        return True

    proxy.on_down = announce
    await cause_in(changed(settings, url=proxy.url), Cause.NO_JETSTREAM)


async def test_lost_replicas_are_named_and_how_many_are_left(settings, tmp_path, eventually):
    async with EmbeddedCluster(tmp_path / "cluster") as cluster:
        nats = NatsSettings(url=cluster.url, user=cluster.user, password=cluster.password)
        there = settings.model_copy(update={"nats": nats, "log": LogSettings(replicas=3)})
        async with JetStreamBridge(there.bridge) as bridge:
            await bridge.create(RUN.run_id, thread_id=RUN.thread_id)

            async def whole():
                return Cause.REPLICAS_LOST not in causes(await diagnose(there))

            await eventually(whole, within_s=30)
            assert (await diagnose(there)).durability is Durability.CLUSTER
            await cluster.nodes[2].kill()

            async def lost():
                return causes(await diagnose(there)).get(Cause.REPLICAS_LOST)

            finding = await eventually(lost, within_s=30)
        assert finding.severity is Severity.ERROR
        assert "2 of 3 servers" in finding.detail


@pytest.mark.parametrize("is_synced", [False, True])
async def test_one_server_that_syncs_now_and_then_is_named_from_its_monitoring(
    settings, monitored, is_synced
):
    async with (
        monitored(settings, sync_always=is_synced) as there,
        JetStreamBridge(there.bridge),
    ):
        report = await diagnose(there)
    assert (Cause.UNSYNCED in causes(report)) is not is_synced
    assert report.durability is (Durability.MACHINE if is_synced else Durability.PROCESS)


@pytest.mark.usefixtures("log")
async def test_without_monitoring_it_says_that_it_does_not_know(settings):
    finding = await cause_in(settings, Cause.SYNC_UNKNOWN)
    assert finding.severity is Severity.NOTE
    assert "JETRUN_NATS__MONITOR_URL" in finding.advice
    silent = changed(settings, monitor_url="http://u:hidden@127.0.0.1:9")
    finding = await cause_in(silent, Cause.MONITORING_SILENT)
    assert "127.0.0.1:9" in finding.detail
    assert "hidden" not in finding.detail


async def test_a_sink_that_is_gone_is_named_with_what_waits_for_it(
    settings, log, sinking, monkeypatch, eventually
):
    assert (await cause_in(settings, Cause.SINK_STOPPED)).severity is Severity.WARNING
    async with sinking():
        await log.create(RUN.run_id, thread_id=RUN.thread_id)

        async def has_archived():
            status = await SinkRecords(log).find_status()
            return status is not None and status.events == 1 and status.lag_events == 0

        await eventually(has_archived)
    monkeypatch.setattr(sink_status, "AWAY_AFTER_S", 0.0)
    await log.publish(RUN.run_id, "more", 1)
    finding = await cause_in(settings, Cause.SINK_STOPPED)
    assert finding.severity is Severity.ERROR
    assert "1 events are not archived" in finding.detail


async def test_a_server_that_may_store_more_than_its_disk_takes_is_named(settings, monitored):
    beyond = shutil.disk_usage("/").total * 1000
    async with (
        monitored(settings, max_file_store_bytes=beyond) as there,
        JetStreamBridge(there.bridge) as bridge,
    ):
        await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
        report = await diagnose(there)
    assert 0 < report.logical_bytes < report.disk_bytes
    finding = next(each for each in report.findings if each.cause is Cause.DISK_NEARLY_FULL)
    assert "max_file_store" in finding.advice or "stops storing" in finding.advice


def test_a_disk_with_little_left_is_named():
    disk = Disk("the archive", Path("/data"), total_bytes=1000, free_bytes=99)
    (finding,) = check_disk(disk)
    assert (finding.cause, finding.severity) == (Cause.DISK_NEARLY_FULL, Severity.ERROR)
    assert "99 of 1000 bytes free" in finding.detail


async def test_a_log_that_is_nearly_full_is_named(settings):
    small = settings.model_copy(update={"log": LogSettings(max_bytes=1 << 20)})
    async with JetStreamBridge(small.bridge) as bridge:
        await bridge.create(RUN.run_id, thread_id=RUN.thread_id)
        for _ in range(15):  # the next one is refused
            await bridge.publish(RUN.run_id, "big", "x" * 50_000)
        await cause_in(small, Cause.LOG_NEARLY_FULL)


@pytest.mark.usefixtures("log")
async def test_a_stream_that_was_changed_is_named_with_its_field(settings):
    other = settings.model_copy(update={"log": LogSettings(max_consumers=7)})
    finding = await cause_in(other, Cause.STREAM_DRIFTED)
    assert "JETRUN_EVENTS: max_consumers is 1000, the settings want 7" in finding.detail


async def test_a_full_list_of_consumers_is_named(settings):
    few = settings.model_copy(update={"log": LogSettings(max_consumers=2)})
    async with JetStreamBridge(few.bridge) as bridge:
        for name in ("one", "two"):
            async with bridge.consume(name):
                pass
        finding = await cause_in(few, Cause.CONSUMER_CAP)
    assert finding.severity is Severity.ERROR
    assert "2 of at most 2" in finding.detail


@pytest.mark.usefixtures("log")
async def test_a_clock_that_is_wrong_is_named_with_how_much(settings, proxy):
    async def shift(_wire, message):
        message.raw = re.sub(rb'("ts":")([^"]{19})', _a_minute_later, message.raw)
        return True

    proxy.on_down = shift
    finding = await cause_in(changed(settings, url=proxy.url), Cause.CLOCK_SKEWED)
    assert re.search(r"(59|60)\.\d s ahead of this machine's", finding.detail)


def _a_minute_later(match):
    instant = datetime.fromisoformat(match[2].decode()) + timedelta(minutes=1)
    return match[1] + instant.isoformat().encode()


async def test_a_server_that_is_away_and_one_that_refuses_are_told_apart(settings):
    nowhere = changed(settings, url="nats://127.0.0.1:9", connect_timeout_s=0.5)
    assert causes(await diagnose(nowhere)).keys() == {Cause.SERVER_UNREACHABLE}
    stranger = changed(settings, user="nobody")
    assert causes(await diagnose(stranger)).keys() == {Cause.ACCESS_DENIED}


@pytest.mark.usefixtures("log")
async def test_the_command_says_what_is_wrong_and_what_to_do_and_ends_with_a_status(settings):
    status, said, _ = await run_command(settings, "doctor")
    assert status in {3, 4}  # 4 where a disk is nearly full
    assert "sink-stopped" in said
    assert "jetrun sink" in said
    assert "power cut" in said


async def test_the_command_finds_the_server_that_another_process_runs_on_a_data_directory(settings):
    synced = EmbeddedServerSettings(sync_always=True)
    own = Settings(data=settings.data, embedded=synced)
    async with embedded_server(own) as running:
        await make_streams(as_operator(own, running).bridge)
        _, said, _ = await run_command(None, "doctor", "--json", "--data", settings.data)
    told = json.loads(said)
    assert told["durability"] == Durability.MACHINE
    assert 0 <= told["logical_bytes"] < told["disk_bytes"]


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("role", Role)
async def test_the_users_of_processes_may_see_what_it_looks_at(settings, server, role):
    report = await diagnose(as_role(settings, server, role))
    assert report.durability is Durability.PROCESS
    assert Cause.SINK_STOPPED in causes(report)


async def test_the_gateway_tells_operators_and_nobody_else(start_gateway, new_session):
    gateway = await start_gateway(auth=AuthSettings(methods=("api-key",)))
    http, keys = await new_session(gateway.url), ApiKeys(gateway.bridge)
    for user_id, role, status in (("her", CallerRole.USER, 403), (None, CallerRole.OPERATOR, 200)):
        facts = {"name": "test", "user_id": user_id, "role": role, "expires_at": None}
        key = await keys.create(ApiKeyGrant(**facts, scopes=(Scope.READ,)))
        async with http.get("/doctor", headers={"x-api-key": str(key)}) as answer:
            assert answer.status == status
            told = await answer.json()
    assert told["durability"] == Durability.PROCESS
    assert Cause.SINK_STOPPED in {each["cause"] for each in told["findings"]}
