"""Run control says which silent runs are looked after, and settles those that were abandoned."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from bridge import BridgeSettings, JetStreamBridge, NatsSettings, RetentionSettings, RunRef
from runs import (
    AssistantCatalog,
    AssistantSettings,
    HeldRuns,
    MultitaskStrategy,
    RunFailedError,
    RunManager,
    RunSettings,
    RunsFacade,
    RunSpec,
    RunStatus,
    ThreadStatus,
    WorkerSettings,
)
from runs.worker import Worker

HANDLER = """
import asyncio

async def long_tool_call(ctx, given):
    yield "started", None
    await asyncio.sleep(given)
    ctx.result("done")
"""
SOON = {"no_publish_timeout_s": 0.3, "unheld_grace_s": 0.3, "sweep_interval_s": 0.1}


@pytest.fixture
def catalog(tmp_path):
    path = tmp_path / "handlers.py"
    path.write_text(HANDLER)
    declared = AssistantSettings(function=f"{path}:long_tool_call")
    return AssistantCatalog({"long_tool_call": declared})


@pytest.fixture
def connect(server):
    @asynccontextmanager
    async def connect():
        nats = NatsSettings(url=server.url, user=server.user, password=server.password)
        settings = BridgeSettings(nats=nats, retention=RetentionSettings(**SOON))
        async with JetStreamBridge(settings) as bridge:
            yield bridge

    return connect


@pytest.fixture
async def bridge(connect):
    async with connect() as opened:
        yield opened


@pytest.fixture
def manager(bridge, catalog):
    return RunManager(bridge, catalog)


@pytest.fixture
def facade(manager, bridge):
    return RunsFacade(manager, bridge)


@pytest.fixture
def held_runs(bridge, manager):
    return HeldRuns(bridge, manager)


@asynccontextmanager
async def working(connect, catalog):
    async with connect() as own:
        stop = asyncio.Event()
        limits = WorkerSettings(drain_s=0.1, cancel_grace_s=0.1)
        task = asyncio.create_task(Worker(own, catalog, limits).serve(stop))
        try:
            yield
        finally:
            stop.set()
            await task


async def start_run(facade, given):
    thread_id = (await facade.create_thread()).thread_id
    return await facade.create_background(
        RunSpec(thread_id=thread_id, assistant_id="long_tool_call", input=given)
    )


def has_events(bridge, run, count):
    async def condition():
        return (await bridge.status(run.run_id)).event_count >= count

    return condition


async def test_a_worker_holds_what_it_executes_however_silent(
    connect, catalog, facade, bridge, held_runs, eventually
):
    """Wound: 10 minutes of silence dead-lettered a run that was inside one long tool call."""
    async with working(connect, catalog):
        run = await start_run(facade, 2.0)
        ref = RunRef(run.thread_id, run.run_id)
        await eventually(has_events(bridge, run, 2))
        async with bridge.retention.sweeping(held_runs):
            assert await held_runs.find_held([ref]) == {run.run_id}
            assert await asyncio.wait_for(facade.join_wait(run.thread_id, run.run_id), 20) == "done"
        await eventually(lambda: _is_free(held_runs, ref))


async def _is_free(held_runs, ref):
    return not await held_runs.find_held([ref])


async def test_runs_that_wait_for_their_turn_or_for_a_worker_are_held(facade, held_runs):
    first = await start_run(facade, 1)
    second = await facade.create_background(
        RunSpec(
            thread_id=first.thread_id,
            assistant_id="long_tool_call",
            input=1,
            multitask_strategy=MultitaskStrategy.ENQUEUE,
        )
    )
    refs = [RunRef(run.thread_id, run.run_id) for run in (first, second)]
    strange = RunRef(first.thread_id, "stranger")
    assert await held_runs.find_held([*refs, strange]) == {first.run_id, second.run_id}


async def test_a_started_run_whose_worker_is_gone_ends_and_frees_its_thread(
    facade, bridge, manager, held_runs, eventually
):
    run = await start_run(facade, 60)
    ref = RunRef(run.thread_id, run.run_id)
    await manager.start(ref, "a worker that was killed", 1)
    async with bridge.retention.sweeping(held_runs):

        async def is_over():
            return (await facade.find_run(run.run_id)).status.is_final

        await eventually(is_over, within_s=10)
    assert (await facade.find_run(run.run_id)).status is RunStatus.ERROR
    thread = await facade.get_thread(run.thread_id)
    assert (thread.active, thread.status) == (None, ThreadStatus.ERROR)
    assert (await bridge.status(run.run_id)).terminal.event == "dead_letter"


async def test_a_run_that_no_worker_takes_ends_in_time_and_lets_the_next_one_have_its_turn(
    facade, bridge, manager
):
    patience = RunSettings(no_worker_timeout_s=1.5)
    run = await start_run(facade, 1)
    following = await facade.create_background(
        RunSpec(
            thread_id=run.thread_id,
            assistant_id="long_tool_call",
            input=1,
            multitask_strategy=MultitaskStrategy.ENQUEUE,
        )
    )
    held_runs = HeldRuns(bridge, manager, patience)
    refs = [RunRef(each.thread_id, each.run_id) for each in (run, following)]
    assert await held_runs.find_held(refs) == {run.run_id, following.run_id}
    async with bridge.retention.sweeping(held_runs):
        with pytest.raises(RunFailedError, match="no_worker"):
            await asyncio.wait_for(facade.join_wait(run.thread_id, run.run_id), 20)
    terminal = (await bridge.status(run.run_id)).terminal
    assert (terminal.event, terminal.data["reason"]) == ("dead_letter", "no_worker")
    thread = await facade.get_thread(run.thread_id)
    assert thread.active.run_id == following.run_id


async def test_a_worker_that_comes_in_time_executes_a_run_that_has_waited(
    connect, catalog, facade, bridge, manager
):
    run = await start_run(facade, 0.01)
    await asyncio.sleep(0.7)  # longer than any silence that is allowed
    async with (
        bridge.retention.sweeping(HeldRuns(bridge, manager)),
        working(connect, catalog),
    ):
        assert await asyncio.wait_for(facade.join_wait(run.thread_id, run.run_id), 20) == "done"


async def test_a_run_that_was_given_back_waits_anew(facade, bridge, manager):
    run = await start_run(facade, 1)
    ref = RunRef(run.thread_id, run.run_id)
    await manager.start(ref, "a worker that goes", 1)
    await asyncio.sleep(0.5)
    await manager.release(ref, 1)
    held_runs = HeldRuns(bridge, manager, RunSettings(no_worker_timeout_s=0.4))
    assert await held_runs.find_held([ref]) == {run.run_id}
    await asyncio.sleep(0.4)
    assert await held_runs.find_held([ref]) == set()
    assert await held_runs.explain(ref) == "no_worker"
