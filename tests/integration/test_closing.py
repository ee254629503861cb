"""A bridge that closes leaves nothing behind, whatever its server does at that moment."""

import asyncio

import pytest

from bridge import BridgeSettings, JetStreamBridge, LogSettings, NatsSettings

ROUNDS = 10


@pytest.fixture
def new_bridge(server):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    log = LogSettings(outage_budget_s=0.5, request_timeout_s=0.5, close_timeout_s=0.5)
    return lambda: JetStreamBridge(BridgeSettings(nats=nats, log=log))


async def test_closing_while_the_server_is_away_leaves_no_task_that_looks_for_it(
    server, new_bridge, eventually
):
    before = asyncio.all_tasks()
    for _ in range(ROUNDS):
        bridges = [new_bridge() for _ in range(5)]
        await asyncio.gather(*(bridge.start() for bridge in bridges))
        await server.kill()
        await eventually(lambda bridges=bridges: not any(each.is_connected for each in bridges))
        async with asyncio.timeout(10):
            await asyncio.gather(*(bridge.close() for bridge in bridges))
        await server.restart()
    await eventually(
        lambda: asyncio.all_tasks() <= before, what="only the test's own tasks are left"
    )
