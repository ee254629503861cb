"""Bridges to one real nats-server, and savers that write to it as other processes would."""

from contextlib import AsyncExitStack

import pytest

from bridge import BridgeSettings, JetStreamBridge, NatsSettings
from runs.langgraph import JetStreamSaver


@pytest.fixture
def settings(server):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    return BridgeSettings(nats=nats)


@pytest.fixture
async def connect(settings):
    """Open one more bridge: ``other = await connect()``."""
    async with AsyncExitStack() as stack:

        async def connect(**changes):
            changed = settings.model_copy(update=changes)
            return await stack.enter_async_context(JetStreamBridge(changed))

        yield connect


@pytest.fixture
async def bridge(connect):
    return await connect()


@pytest.fixture
def saver(bridge):
    return JetStreamSaver(bridge.checkpoints)
