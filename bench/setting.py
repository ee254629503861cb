"""What the measurements run on: a NATS server each, a bridge, and a bare client beside it."""

import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig

from bridge import BridgeSettings, JetStreamBridge, NatsSettings, RetentionSettings, new_id
from bridge.server.config import EmbeddedServerSettings
from bridge.server.embedded import EmbeddedServer

EVENT_BYTES: Final = 200
EVENT: Final = "updates"
#: As JSON the event's data is exactly EVENT_BYTES long.
DATA: Final = "x" * (EVENT_BYTES - 2)
PAYLOAD: Final = f'"{DATA}"'.encode()
#: Digits at the front of an event's data that say when it was sent.
STAMP_DIGITS: Final = 20

#: The stream that the bare client publishes to: on file, one replica, nothing else.
BARE_STREAM: Final = "BARE"
BARE_SUBJECT: Final = "bare.subject"


def stamped() -> str:
    """Return data of the usual size that begins with the monotonic clock's nanoseconds."""
    return f"{time.monotonic_ns():0{STAMP_DIGITS}d}{DATA[STAMP_DIGITS:]}"


@asynccontextmanager
async def running_server(*, sync_always: bool = False) -> AsyncGenerator[EmbeddedServer]:
    """Run a nats-server on a directory that is deleted afterwards.

    Args:
        sync_always: Whether each write is forced to disk before it is acknowledged.
    """
    settings = EmbeddedServerSettings(sync_always=sync_always)
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with EmbeddedServer(Path(directory) / "nats", settings) as server:
            yield server


def bridge_settings(
    server: EmbeddedServer, retention: RetentionSettings | None = None
) -> BridgeSettings:
    """Return the settings of a bridge to ``server``."""
    address = NatsSettings(url=server.url, user=server.user, password=server.password)
    return BridgeSettings(nats=address, retention=retention or RetentionSettings())


@asynccontextmanager
async def open_bridge(
    server: EmbeddedServer, retention: RetentionSettings | None = None
) -> AsyncGenerator[JetStreamBridge]:
    """Open a bridge to ``server``."""
    async with JetStreamBridge(bridge_settings(server, retention), name="bench") as bridge:
        yield bridge


@asynccontextmanager
async def bare_client(server: EmbeddedServer) -> AsyncGenerator[Client]:
    """Connect nats-py as it comes."""
    client = await nats.connect(
        server.url, user=server.user, password=server.password.get_secret_value()
    )
    try:
        yield client
    finally:
        await client.close()


async def bare_stream(client: Client, *, max_pending: int = 4000) -> JetStreamContext:
    """Make the stream of the baselines; at most ``max_pending`` publishes wait for their acks."""
    jetstream = client.jetstream(publish_async_max_pending=max_pending)
    await jetstream.add_stream(
        StreamConfig(name=BARE_STREAM, subjects=[BARE_SUBJECT], storage=StorageType.FILE)
    )
    return jetstream


async def new_run(bridge: JetStreamBridge) -> str:
    """Create a run in a thread of its own and return its id."""
    run_id = new_id()
    await bridge.create(run_id, thread_id=new_id())
    return run_id
