"""A run that fell silent gets an end when nobody holds it, and only then."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge import (
    BridgeSettings,
    JetStreamBridge,
    NatsSettings,
    RetentionSettings,
    StreamStatus,
    StreamTerminatedError,
)
from bridge.shard_claims import ShardClaims

SOON = {"no_publish_timeout_s": 0.3, "unheld_grace_s": 0.1, "sweep_interval_s": 0.1}


class Holding:
    """Those who hold some runs."""

    def __init__(self, *run_ids):
        self.run_ids = set(run_ids)
        self.asked = self.settled = ()

    async def find_held(self, runs):
        self.asked = (*self.asked, *(run.run_id for run in runs))
        return self.run_ids

    async def settle(self, run):
        self.settled = (*self.settled, run.run_id)


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


async def test_a_silent_run_that_nobody_holds_is_ended_as_dead_letter(connect, eventually):
    async with connect() as bridge, connect() as other:
        await bridge.create("silent", thread_id="t")
        leases = Holding()
        async with other.sweeping(leases), bridge.subscribe("silent") as items:
            await eventually(has_ended(bridge, "silent"))
            events = [item.event for item in [item async for item in items] if hasattr(item, "id")]
        info = await bridge.status("silent")
        assert (info.status, events) == (StreamStatus.ERRORED, ["metadata", "dead_letter"])
        assert info.terminal.data["reason"] == "no_publish_timeout"
        assert set(info.terminal.data) == {"reason", "timestamp"}
        assert leases.settled == ("silent",)
        with pytest.raises(StreamTerminatedError):
            await bridge.publish("silent", "note", "late")


async def test_silence_inside_one_long_tool_call_does_not_end_a_held_run(connect, eventually):
    """Wound: 10 minutes of silence dead-lettered a run that was inside one long tool call."""
    async with connect() as bridge:
        for run_id in ("held", "abandoned"):
            await bridge.create(run_id, thread_id=f"t-{run_id}")
        leases = Holding("held")
        async with bridge.sweeping(leases):
            await eventually(has_ended(bridge, "abandoned"))
            leases.asked = ()
            await eventually(lambda: leases.asked.count("held") > 5)
            assert not await has_ended(bridge, "held")()
            leases.run_ids.clear()
            await eventually(has_ended(bridge, "held"))


async def test_a_run_that_publishes_now_and_then_is_never_ended(connect):
    async with connect(unheld_grace_s=0.01, sweep_interval_s=0.02) as bridge:
        await bridge.create("slow", thread_id="t")
        async with bridge.sweeping():
            for number in range(8):
                await asyncio.sleep(0.15)
                await bridge.publish("slow", "note", number)
        assert (await bridge.status("slow")).event_count == 9


async def test_a_run_that_awaits_input_may_be_silent_longer(connect, eventually):
    async with connect(awaiting_input_timeout_s=1.5) as bridge:
        for run_id in ("waiting", "silent"):
            await bridge.create(run_id, thread_id=f"t-{run_id}")
        await bridge.mark_awaiting_input("waiting")
        async with bridge.sweeping():
            await eventually(has_ended(bridge, "silent"))
            assert not await has_ended(bridge, "waiting")()
            await eventually(has_ended(bridge, "waiting"))


async def test_a_run_whose_holders_cannot_be_asked_is_left_alone(connect):
    class Away(Holding):
        async def find_held(self, runs):
            await super().find_held(runs)
            raise OSError

    async with connect() as bridge:
        await bridge.create("run", thread_id="t")
        leases = Away()
        async with asyncio.timeout(10), bridge.sweeping(leases):
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
        run_ids = [f"run-{n}" for n in range(1200)]
        assert await bridge.holders.ask(run_ids) == set()
        async with (
            one.holders.answer(lambda ids: [each for each in ids if each.endswith("7")]),
            other.holders.answer(lambda ids: [each for each in ids if each.endswith("3")]),
        ):
            found = await bridge.holders.ask(run_ids)
        assert found == {each for each in run_ids if each[-1] in "37"}
