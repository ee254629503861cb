"""A run that fell silent gets an end when nobody holds it, and only then."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from holding import Holding

from bridge import (
    BridgeSettings,
    JetStreamBridge,
    NatsSettings,
    RetentionSettings,
    StreamStatus,
)
from bridge.retention.shard_claims import ShardClaims

SOON = {"no_publish_timeout_s": 0.3, "unheld_grace_s": 0.1, "sweep_interval_s": 0.1}


@pytest.fixture
def connect(server):
    @asynccontextmanager
    async def connect(**limits):
        settings = BridgeSettings(
            nats=NatsSettings(url=server.url, user=server.user, password=server.password),
            retention=RetentionSettings(**{**SOON, **limits}),
        )
        async with JetStreamBridge(settings) as bridge:
            yield bridge

    return connect


def has_ended(bridge, run_id):
    async def condition():
        return (await bridge.status(run_id)).status is not StreamStatus.ACTIVE

    return condition


async def test_a_run_that_publishes_now_and_then_is_never_ended(connect):
    async with connect(unheld_grace_s=0.01, sweep_interval_s=0.02) as bridge:
        await bridge.create("slow", thread_id="t")
        async with bridge.retention.sweeping():
            for number in range(8):
                await asyncio.sleep(0.15)
                await bridge.publish("slow", "note", number)
        assert (await bridge.status("slow")).event_count == 9


async def test_a_run_whose_holders_cannot_be_asked_is_left_alone(connect):
    class Away(Holding):
        async def find_held(self, runs):
            await super().find_held(runs)
            raise OSError

    async with connect() as bridge:
        await bridge.create("run", thread_id="t")
        leases = Away()
        async with asyncio.timeout(10), bridge.retention.sweeping(leases):
            while len(leases.asked) < 3:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert not await has_ended(bridge, "run")()


async def test_each_shard_is_swept_by_one_process_until_that_one_has_gone(connect, eventually):
    async with connect() as bridge:
        first, second = (ShardClaims(bridge.states, 0.1) for _ in range(2))
        assert await first.claim("00")
        assert not await second.claim("00")
        assert await first.claim("00")
        assert await second.claim("01")
        await eventually(lambda: second.claim("00"))
        assert not await first.claim("00")


async def test_all_processes_are_asked_who_holds_a_run(connect):
    async with connect() as bridge, connect() as one, connect() as other:
        run_ids = [f"run-{n}" for n in range(600)]
        assert await bridge.holders.ask(run_ids) == set()
        async with (
            one.holders.answer(lambda ids: [each for each in ids if each.endswith("7")]),
            other.holders.answer(lambda ids: [each for each in ids if each.endswith("3")]),
        ):
            found = await bridge.holders.ask(run_ids)
        assert found == {each for each in run_ids if each[-1] in "37"}
