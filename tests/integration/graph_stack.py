"""A gateway and a worker in this process, which execute the graphs of the tests."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
from gateways import running_gateway
from langgraph_sdk import get_client
from workers import worker_here

from api.http_settings import HttpSettings
from api.settings import Settings
from bridge import NatsSettings
from bridge.server.embedded import EmbeddedServer
from runs import AssistantSettings, RunSettings, WorkerSettings

GRAPHS = Path(__file__).with_name("demo_graphs.py")
NAMES = (
    "approval",
    "blocking",
    "chat",
    "failing",
    "fan",
    "jumping",
    "looks",
    "makes",
    "makes_by_config",
    "makes_nothing",
    "nested",
    "odd",
    "opens",
    "slow",
    "sync_node",
    "two_questions",
)


def with_graphs(settings, **worker):
    """Return settings with all graphs declared."""
    declared = {
        name: AssistantSettings(function=f"{GRAPHS}:{name}", kind="graph") for name in NAMES
    }
    changes = {"assistants": declared, "worker": WorkerSettings(**worker)}
    return settings.model_copy(update=changes)


class GraphStack:
    """One server, gateway and worker for all tests of a module: what is slow is their start."""

    def __init__(self, settings, gateway, client, http):
        self.settings = settings
        self.gateway = gateway
        self.client = client
        self.http = http


@asynccontextmanager
async def running_stack(directory, *, runs=None, **worker):
    """Run a gateway and a worker in this process, where nothing is killed."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(EmbeddedServer(directory / "nats"))
        nats = NatsSettings(url=server.url, user=server.user, password=server.password)
        http = HttpSettings(port=0, settle_after_s=0.05, shutdown_s=4)
        plain = Settings(nats=nats, http=http, data=directory / "data", runs=runs or RunSettings())
        settings = with_graphs(plain, **worker)
        gateway = await stack.enter_async_context(running_gateway(settings))
        await stack.enter_async_context(worker_here(settings))
        opened = get_client(url=gateway.url, api_key=None)
        client = await stack.enter_async_context(opened)
        session = await stack.enter_async_context(aiohttp.ClientSession(gateway.url))
        yield GraphStack(settings, gateway, client, session)


async def collect(stream, within_s=30):
    async with asyncio.timeout(within_s):
        return [part async for part in stream]


def said(text):
    """Return the input of a chat."""
    return {"messages": [{"role": "user", "content": text}]}
