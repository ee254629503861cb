"""Gateways in this process, workers as processes of their own, and ways to read the wire."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import aiohttp
import pytest
from archiving import sinking
from gateways import running_gateway
from measured_gateway import running_gateway_process
from roles import running_role
from workers import worker_here

from api.http_settings import HttpSettings
from api.nats_server import as_role
from api.settings import Role, Settings
from bridge import JetStreamBridge, NatsSettings, make_streams
from store import ArchiveLayout

#: Sections of the settings that tests give to gateways of their own.
SECTIONS = {"auth", "limits", "log", "webhooks"}


@pytest.fixture
def settings(server, tmp_path):
    """Settings of all processes of one test."""
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    http = HttpSettings(port=0, settle_after_s=0.05, shutdown_s=4)
    return Settings(nats=nats, http=http, data=tmp_path / "data")


def with_changes(settings, changes):
    """Return settings with other sections; what is no section is a setting of ``http``."""
    sections = {name: changes[name] for name in SECTIONS & changes.keys()}
    http = {name: changes[name] for name in changes.keys() - SECTIONS}
    return settings.model_copy(update={**sections, "http": settings.http.model_copy(update=http)})


@pytest.fixture
async def start_gateway(settings, server):
    """Start gateways: ``await start_gateway(heartbeat_s=0.05)``; they end with the test.

    Each is the user of the NATS server that gateways are, so every test tries its permissions.
    """
    async with AsyncExitStack() as stack:

        async def start(authenticate=None, **changes):
            changed = with_changes(settings, changes)
            await make_streams(changed.bridge)
            if changed.log.prefix == Settings().log.prefix:  # nats.conf has users for no other
                changed = as_role(changed, server, Role.GATEWAY)
            return await stack.enter_async_context(running_gateway(changed, authenticate))

        yield start


@pytest.fixture
async def start_gateway_process(settings):
    """Start gateways as processes of their own, likewise."""
    async with AsyncExitStack() as stack:

        async def start(**changes):
            changed = with_changes(settings, changes)
            return await stack.enter_async_context(running_gateway_process(changed))

        yield start


@pytest.fixture
async def bridge(settings):
    """The log, from outside of any gateway."""
    async with JetStreamBridge(settings.bridge) as opened:
        yield opened


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway()


@pytest.fixture
def stored(gateway):
    """Everything in the log and in the state, as far as it can grow."""

    async def look():
        kinds = [
            sorted(await gateway.bridge.states.keys(kind)) for kind in ("thread", "run", "ref")
        ]
        return await gateway.bridge.last_sequence(), kinds

    return look


@pytest.fixture
async def start_role(settings, server):
    """Start processes: ``await start_role(Role.SINK)``; they end with the test.

    Each is the user of the NATS server that its role is.
    """
    async with AsyncExitStack() as stack:

        async def start(role, **changes):
            changed = settings.model_copy(update=changes)
            await make_streams(changed.bridge)
            known = as_role(changed, server, role)
            return (await stack.enter_async_context(running_role(role, known))).process

        yield start


@pytest.fixture
def start_worker(start_role):
    """Start worker processes, which execute the assistants of the settings."""
    return partial(start_role, Role.WORKER)


@pytest.fixture
async def worker(settings, server):
    """A worker in this process, where nobody kills it: a process takes a second to start.

    What a test leaves under way it does not wait for.
    """
    await make_streams(settings.bridge)
    impatient = settings.worker.model_copy(update={"drain_s": 0.1})
    known = as_role(settings.model_copy(update={"worker": impatient}), server, Role.WORKER)
    async with worker_here(known) as running:
        yield running


@pytest.fixture
async def new_session():
    """Make client sessions whose paths are below a URL; they close with the test."""
    async with AsyncExitStack() as stack:

        async def new(url):
            return await stack.enter_async_context(aiohttp.ClientSession(url))

        yield new


@pytest.fixture
async def http(gateway, new_session):
    """A client session whose paths are below the gateway's root."""
    return await new_session(gateway.url)


class OpenRun:
    """A run whose events the test itself publishes, in the place of a worker."""

    def __init__(self, gateway, thread_id, run_id):
        self._bridge = gateway.bridge
        self.thread_id = thread_id
        self.run_id = run_id
        self.path = f"/threads/{thread_id}/runs/{run_id}"

    async def publish(self, event, data, **options):
        return await self._bridge.publish(self.run_id, event, data, **options)

    async def publish_many(self, events):
        return await self._bridge.publish_many(self.run_id, events)

    async def end(self, kind="end", data=None):
        return await self._bridge.publish_terminal(self.run_id, kind, data)


@pytest.fixture
async def open_run(gateway, http):
    """A run that was created over HTTP and that no worker takes."""
    return await create_run(gateway, http)


@pytest.fixture
def archive(gateway, settings, eventually):
    """Let a sink bring everything of a run into its file: ``await archive(run)``; its path."""

    async def archive(run):
        path = ArchiveLayout(settings.data).run((run.thread_id, run.run_id))
        count = (await gateway.bridge.status(run.run_id)).event_count
        async with sinking(settings):
            await eventually(
                lambda: path.exists() and path.read_bytes().count(b"\n") == count, within_s=120
            )
        return path

    return archive


async def create_run(gateway, http, **body):
    async with http.post("/threads", json={}) as answer:
        thread_id = (await answer.json())["thread_id"]
    path = f"/threads/{thread_id}/runs"
    async with http.post(path, json={"assistant_id": "echo", **body}) as answer:
        assert answer.status == 200, await answer.text()
        return OpenRun(gateway, thread_id, (await answer.json())["run_id"])


class Frames:
    """Reads the blocks and comments of one stream as they are on the wire."""

    def __init__(self, response):
        self.response = response
        self.raw = b""
        self._unread = b""

    async def next(self):
        """Return the next block with its blank line, or the next comment with its newline."""
        async with asyncio.timeout(10):
            while True:
                if self._unread.startswith(b":") and b"\n" in self._unread:
                    return self._take(self._unread.index(b"\n") + 1)
                if not self._unread.startswith(b":") and b"\n\n" in self._unread:
                    return self._take(self._unread.index(b"\n\n") + 2)
                chunk = await self.response.content.readany()
                assert chunk, f"the stream ended; unread: {self._unread!r}"
                self.raw += chunk
                self._unread += chunk

    def _take(self, size):
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    async def next_event(self):
        """Return the next block as a dict of its fields, comments left out."""
        block = await self.next()
        while block.startswith(b":"):
            block = await self.next()
        return fields(block)

    async def rest(self):
        """Return all bytes up to a clean end of the stream."""
        async with asyncio.timeout(10):
            self._unread += await self.response.content.read()
        return self._take(len(self._unread))


def fields(block):
    lines = block.decode().removesuffix("\n\n").split("\n")
    found = dict(line.split(": ", 1) for line in lines)
    return {**found, "data": json.loads(found["data"])}


def events_of(raw):
    """Return the fields of all blocks in ``raw``, comments left out."""
    lines = [line for line in raw.split(b"\n") if not line.startswith(b":")]
    return [fields(block + b"\n\n") for block in b"\n".join(lines).split(b"\n\n") if block]


@asynccontextmanager
async def read_stream(http, path, **options):
    async with http.get(path, **options) as response:
        assert response.status == 200, await response.text()
        yield Frames(response)


@pytest.fixture
def wire():
    """Helpers to read streams; see the functions of the same names."""

    class Wire:
        read = staticmethod(read_stream)
        events = staticmethod(events_of)
        fields = staticmethod(fields)
        create_run = staticmethod(create_run)

    Wire.Frames = Frames
    Wire.OpenRun = OpenRun
    return Wire
