from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from holding import Holding
from reading import events_of, read_all, take

from bridge import (
    BridgeSettings,
    EmbeddedServer,
    JetStreamBridge,
    MemorySettings,
    MemoryStreamBridge,
    NatsSettings,
    RetentionSettings,
    StreamStatus,
    new_event,
)

ENDED_LEAVE = {"terminal_ttl_s": 0.05, "orphan_timeout_s": 0.05, "sweep_interval_s": 0.1}
SILENT_END = {"no_publish_timeout_s": 0.4, "sweep_interval_s": 0.1}


@pytest.fixture(params=["memory", "jetstream"])
def sweep(request, tmp_path):
    """Open a bridge whose log is swept: ``async with sweep(max_age_s=1) as bridge``."""

    @asynccontextmanager
    async def sweep_memory(leases=None, **limits):
        async with MemoryStreamBridge(MemorySettings(**limits)) as bridge, bridge.sweeping(leases):
            yield bridge

    @asynccontextmanager
    async def sweep_jetstream(leases=None, **limits):
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(EmbeddedServer(tmp_path / "nats"))
            nats = NatsSettings(url=server.url, user=server.user, password=server.password)
            retention = RetentionSettings(**limits, unheld_grace_s=0.01)
            settings = BridgeSettings(nats=nats, retention=retention)
            bridge = await stack.enter_async_context(JetStreamBridge(settings))
            await stack.enter_async_context(bridge.retention.sweeping(leases))
            await stack.enter_async_context(bridge.retention.letting_go(None))
            yield bridge

    return sweep_memory if request.param == "memory" else sweep_jetstream


async def make_run(bridge, run_id, *, is_ended=True):
    await bridge.create(run_id, thread_id=f"t-{run_id}")
    await bridge.publish_many(run_id, [new_event("note", n) for n in range(10)])
    outputs = await bridge.publish(run_id, "values", 7, category="outputs")
    if is_ended:
        await bridge.publish_terminal(run_id, "end", {"outputs": outputs})


def has_left(bridge, run_id):
    async def condition():
        info = await bridge.status(run_id)
        return info.event_count == int(info.first_id.split("-")[1]) + 1

    return condition


def has_ended(bridge, run_id):
    async def condition():
        return (await bridge.status(run_id)).status is not StreamStatus.ACTIVE

    return condition


async def test_of_an_ended_run_the_seal_and_the_final_values_stay(sweep, eventually):
    async with sweep(**ENDED_LEAVE) as bridge:
        await make_run(bridge, "run")
        await eventually(has_left(bridge, "run"))
        events = events_of(await read_all(bridge, "run"))
        assert [event.event for event in events] == ["values", "end"]
        assert (await bridge.status("run")).event_count == 13


async def test_a_live_run_is_never_cut_for_its_age(sweep, eventually):
    """Wound: a live run cut at 24 h."""
    async with sweep(**ENDED_LEAVE, max_age_s=0.05) as bridge:
        await make_run(bridge, "live", is_ended=False)
        for run_id in ("a", "b"):
            await make_run(bridge, run_id)
            await eventually(has_left(bridge, run_id))
        assert (await bridge.status("live")).first_id.endswith("-1")


async def test_a_reader_under_way_postpones_at_most_to_the_greatest_age(sweep, eventually):
    async with sweep(**ENDED_LEAVE, max_age_s=2.0) as bridge:
        await make_run(bridge, "read")
        async with bridge.subscribe("read") as stream:
            await take(stream, 1)
            await make_run(bridge, "unread")
            await eventually(has_left(bridge, "unread"))
            assert not await has_left(bridge, "read")()
            await eventually(has_left(bridge, "read"), within_s=10)


async def test_a_silent_run_that_nobody_holds_is_ended_as_dead_letter(sweep, eventually):
    async with sweep(**SILENT_END) as bridge:
        await bridge.create("silent", thread_id="t")
        await eventually(has_ended(bridge, "silent"))
        terminal = (await bridge.status("silent")).terminal
        assert terminal.event == "dead_letter"
        assert terminal.data["reason"] == "no_publish_timeout"
        assert set(terminal.data) == {"reason", "timestamp"}


async def test_those_who_hold_runs_say_why_one_is_ended_and_are_told(sweep, eventually):
    leases = Holding()
    async with sweep(leases, **SILENT_END) as bridge:
        await bridge.create("silent", thread_id="t")
        await eventually(lambda: leases.settled == ("silent",))
        terminal = (await bridge.status("silent")).terminal
        assert (terminal.event, terminal.data["reason"]) == ("dead_letter", "silent was left")


async def test_silence_inside_one_long_tool_call_does_not_end_a_held_run(sweep, eventually):
    """Wound: 10 minutes of silence dead-lettered a run that was inside one long tool call."""
    leases = Holding("held")
    async with sweep(leases, **SILENT_END) as bridge:
        for run_id in ("held", "abandoned"):
            await bridge.create(run_id, thread_id=f"t-{run_id}")
        await eventually(has_ended(bridge, "abandoned"))
        await eventually(lambda: leases.asked.count("held") > 5)
        assert not await has_ended(bridge, "held")()
        leases.run_ids.clear()
        await eventually(has_ended(bridge, "held"))


async def test_a_run_that_awaits_input_may_be_silent_longer(sweep, eventually):
    async with sweep(**SILENT_END, awaiting_input_timeout_s=1.5) as bridge:
        for run_id in ("waiting", "silent"):
            await bridge.create(run_id, thread_id=f"t-{run_id}")
        await bridge.mark_awaiting_input("waiting")
        await eventually(has_ended(bridge, "silent"))
        assert not await has_ended(bridge, "waiting")()
        await eventually(has_ended(bridge, "waiting"))


async def test_a_run_that_publishes_while_its_holders_are_asked_goes_on(sweep, eventually):
    class Publishing(Holding):
        async def find_held(self, runs):
            await bridge.publish(runs[0].run_id, "note", "alive")
            return await super().find_held(runs)

    leases = Publishing()
    async with sweep(leases, **SILENT_END) as bridge:
        await bridge.create("run", thread_id="t")
        await eventually(lambda: len(leases.asked) >= 2, within_s=20)
        assert not await has_ended(bridge, "run")()
