"""The JetStream assets: made once, verified ever after, never changed behind anybody's back."""

import asyncio

import nats
import pytest

from bridge import (
    AccessDeniedError,
    BridgeSettings,
    EmbeddedServer,
    JetStreamBridge,
    JetStreamDisabledError,
    LogSettings,
    NatsSettings,
    ServerTooOldError,
    TopologyDriftError,
    UnavailableError,
)
from bridge.server.binary import find_server_binary
from bridge.server.config import EmbeddedServerSettings
from bridge.server.free_port import pick_free_port
from bridge.topology import check_server


@pytest.fixture
def settings_of():
    def settings_of(server, **log):
        nats_settings = NatsSettings(url=server.url, user=server.user, password=server.password)
        return BridgeSettings(nats=nats_settings, log=LogSettings(**log))

    return settings_of


@pytest.fixture
async def jetstream(server):
    connection = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )
    yield connection.jetstream()
    await connection.close()


async def test_several_processes_may_make_the_assets_at_the_same_time(server, settings_of):
    bridges = [JetStreamBridge(settings_of(server)) for _ in range(5)]
    await asyncio.gather(*(bridge.start() for bridge in bridges))
    await bridges[0].create("run-1", thread_id="thread-1")
    assert await bridges[1].find_thread("run-1") == "thread-1"
    await asyncio.gather(*(bridge.close() for bridge in bridges))


@pytest.mark.parametrize(
    ("asset", "field", "other"),
    [
        ("EVENTS", "max_consumers", 5),
        ("EVENTS", "duplicate_window", 60.0),
        ("EVENTS", "allow_direct", False),
        ("STATE", "max_msgs_per_subject", 2),
        ("JOBS", "discard_new_per_subject", False),
    ],
)
async def test_a_stream_that_differs_is_refused_by_the_field_and_left_as_it_is(
    server, settings_of, jetstream, asset, field, other
):
    async with JetStreamBridge(settings_of(server)):
        pass
    name = f"JETRUN_{asset}"
    config = (await jetstream.stream_info(name)).config
    setattr(config, field, other)
    await jetstream.update_stream(config)
    with pytest.raises(TopologyDriftError, match=field) as caught:
        await JetStreamBridge(settings_of(server)).start()
    assert (caught.value.asset, caught.value.field) == (f"stream {name}", field)
    assert getattr((await jetstream.stream_info(name)).config, field) == other


async def test_a_size_that_differs_from_the_one_that_is_set_is_refused(server, settings_of):
    async with JetStreamBridge(settings_of(server, max_bytes=50_000_000)):
        pass
    with pytest.raises(TopologyDriftError, match="max_bytes"):
        await JetStreamBridge(settings_of(server, max_bytes=60_000_000)).start()
    async with JetStreamBridge(settings_of(server)):  # whoever sets none takes what there is
        pass


@pytest.mark.parametrize("room", [8 << 20, 400 << 20, 16 << 30, 1 << 40])
async def test_a_log_without_a_size_takes_most_of_what_the_server_can_reserve(
    tmp_path, settings_of, room
):
    limits = EmbeddedServerSettings(max_file_store_bytes=room)
    async with EmbeddedServer(tmp_path / "nats", limits) as server:
        settings = settings_of(server, max_dead_letter_bytes=1 << 20)
        async with JetStreamBridge(settings) as bridge:
            size = (await bridge._reader.state())["max_bytes"]
        async with JetStreamBridge(settings) as bridge:  # and keeps it
            assert (await bridge._reader.state())["max_bytes"] == size
    assert min(0.55 * room, 48 << 30) <= size <= min(0.75 * room, 48 << 30)


async def test_another_prefix_is_another_log(server, settings_of):
    async with (
        JetStreamBridge(settings_of(server)) as one,
        JetStreamBridge(settings_of(server, prefix="other")) as other,
    ):
        await one.create("run-1", thread_id="thread-1")
        assert await other.find_thread("run-1") is None


@pytest.mark.parametrize("lease_s", [1.0])
async def test_a_consumer_that_differs_is_refused_by_the_field(server, settings_of, lease_s):
    async with JetStreamBridge(settings_of(server)) as bridge:
        await bridge.jobs.consumer("echo", lease_s=lease_s)
        with pytest.raises(TopologyDriftError, match="ack_wait"):
            await bridge.jobs.consumer("echo", lease_s=lease_s * 2)


async def test_wrong_credentials_are_said_to_be_wrong_and_are_not_shown(server):
    nats_settings = NatsSettings(url=server.url, user=server.user, password="not-this-one")
    with pytest.raises(AccessDeniedError) as caught:
        await JetStreamBridge(BridgeSettings(nats=nats_settings)).start()
    assert "not-this-one" not in str(caught.value)


async def test_a_server_that_is_not_there_is_named_without_its_credentials(server, settings_of):
    await server.kill()
    settings = settings_of(server)
    url = server.url.replace("nats://", "nats://me:secret@")
    nats_settings = settings.nats.model_copy(update={"url": url, "connect_timeout_s": 1.0})
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1") as caught:
        await JetStreamBridge(BridgeSettings(nats=nats_settings)).start()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("version", ["2.11.9", "2.2.0", "1.4.1", "0"])
def test_a_server_without_what_the_log_is_built_on_is_refused(version):
    with pytest.raises(ServerTooOldError, match=r"2\.12"):
        check_server(version)


@pytest.mark.parametrize("version", ["2.12.0", "2.15.1", "2.15.1-RC.1", "3.0"])
def test_a_server_that_is_new_enough_is_taken(version):
    check_server(version)


async def test_a_server_without_jetstream_is_told_from_one_that_is_away(tmp_path, eventually):
    port = pick_free_port("127.0.0.1")
    process = await asyncio.create_subprocess_exec(
        await find_server_binary(),
        *("-a", "127.0.0.1", "-p", str(port), "-l", str(tmp_path / "nats.log")),
    )
    try:
        await eventually(lambda: "Server is ready" in read(tmp_path / "nats.log"))
        settings = BridgeSettings(nats=NatsSettings(url=f"nats://127.0.0.1:{port}"))
        with pytest.raises(JetStreamDisabledError):
            await JetStreamBridge(settings).start()
    finally:
        process.kill()
        await process.wait()


def read(path):
    return path.read_text() if path.exists() else ""
