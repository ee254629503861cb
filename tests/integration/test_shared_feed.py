"""Readers that share a subscription, and what is left when they could not get one."""

import os
import signal
from pathlib import Path

import pytest

from bridge import BridgeSettings, JetStreamBridge, LogSettings, NatsSettings, UnavailableError

PROMPT = LogSettings(request_timeout_s=0.2, outage_budget_s=0.4)
FOLLOW = {
    "run": lambda bridge: bridge.follow("r"),
    "thread": lambda bridge: bridge.follow_thread("t"),
}


def stands_still(pid):
    """A signal returns before it has reached all threads: one that still runs may answer."""
    states = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(state.rpartition(")")[2].split()[0] == "T" for state in states)


@pytest.mark.parametrize("follow", FOLLOW.values(), ids=FOLLOW)
async def test_a_reader_that_could_not_join_leaves_no_subscription_behind(
    server, follow, eventually
):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    async with JetStreamBridge(BridgeSettings(nats=nats, log=PROMPT)) as bridge:
        await bridge.create("r", thread_id="t")
        subscriptions = bridge._connection._client._subs
        before = set(subscriptions)
        async with follow(bridge):
            assert set(subscriptions) > before
        assert set(subscriptions) == before
        os.kill(server.pid, signal.SIGSTOP)
        try:
            await eventually(lambda: stands_still(server.pid))
            with pytest.raises(UnavailableError):
                async with follow(bridge):
                    pytest.fail("joined a server that says nothing")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert set(subscriptions) == before
