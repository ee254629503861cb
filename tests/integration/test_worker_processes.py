"""Workers that are killed, stopped, blocked or cut off are processes of their own."""

import asyncio
import json
import os
import signal
import sys

import pytest
from run_logs import first_event, log_of
from worker_functions import assert_whole, attempt_is, declared_in, names_of, spec

from runs import (
    AssistantCatalog,
    CancelOutcome,
    RunFailedError,
    RunInterruptedError,
    RunManager,
    RunsFacade,
    RunStatus,
    ThreadStatus,
)


@pytest.fixture
def assistants(tmp_path):
    return declared_in(tmp_path)


@pytest.fixture
def facade(bridge, assistants):
    return RunsFacade(RunManager(bridge, AssistantCatalog(assistants)), bridge)


@pytest.fixture
async def thread(facade):
    return (await facade.create_thread()).thread_id


@pytest.fixture
async def start_process(server, assistants, tmp_path):
    """Start worker processes; those that still live at the end are killed."""
    started = []

    async def start(**settings):
        limits = {"lease_s": 1, "drain_s": 5, "cancel_grace_s": 0.3, **settings}
        catalog = {name: each.model_dump() for name, each in assistants.items()}
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("JETRUN_")},
            "JETRUN_NATS__URL": server.url,
            "JETRUN_NATS__USER": server.user,
            "JETRUN_NATS__PASSWORD": server.password.get_secret_value(),
            "JETRUN_ASSISTANTS": json.dumps(catalog),
            **{f"JETRUN_WORKER__{name.upper()}": str(value) for name, value in limits.items()},
        }
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "runs.worker", env=environment, stderr=log
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def served(facade):
    """Wait until a worker is there, however long it takes to start on a busy machine."""
    run = await facade.create_background(spec(None, "returns"))
    await asyncio.wait_for(facade.join_wait(run.thread_id, run.run_id), 30)


async def test_a_crash_leaves_no_run_running_for_ever_and_the_thread_free(
    facade, bridge, thread, start_process
):
    given = {"count": 2000, "pause_s": 0.01}
    victim = await start_process()
    run = await facade.create_background(spec(thread, "counts", given))
    queued = await facade.create_background(spec(thread, "echo", "next"))
    await first_event(bridge, run, "count")
    victim.kill()
    await start_process()
    await served(facade)
    async with asyncio.timeout(10):
        with pytest.raises(RunFailedError, match="worker_lost"):
            await facade.join_wait(thread, run.run_id)
        assert await facade.join_wait(thread, queued.run_id) == "next"
    events = await log_of(bridge, run)
    assert_whole(events)
    assert events[-1].event == "dead_letter"
    record = await facade.get_run(thread, run.run_id)
    assert (record.status, record.error.message) == (RunStatus.ERROR, "worker_lost")
    assert (await facade.get_thread(thread)).status is ThreadStatus.IDLE


async def test_an_assistant_that_says_so_is_restarted_as_the_next_attempt(
    facade, bridge, thread, start_process
):
    given = {"count": 100, "pause_s": 0.01}
    victim = await start_process()
    run = await facade.create_background(spec(thread, "counts_again", given))
    await first_event(bridge, run, "count")
    victim.kill()
    await start_process()
    assert await asyncio.wait_for(facade.join_wait(thread, run.run_id), 20) == 2
    events = await log_of(bridge, run)
    assert_whole(events)
    births = [event.data["attempt"] for event in events if event.event == "metadata"]
    assert births == [1, 2]
    again = names_of(events).index("metadata", 1)
    counted = [event.data for event in events[again:] if event.event == "count"]
    assert counted == [{"n": n, "attempt": 2} for n in range(100)]


async def test_a_cancel_while_the_worker_is_dead_ends_the_run_as_interrupted(
    facade, bridge, thread, start_process
):
    victim = await start_process()
    run = await facade.create_background(spec(thread, "tidy"))
    await first_event(bridge, run, "started")
    victim.kill()
    await victim.wait()
    assert await facade.cancel(thread, run.run_id) is CancelOutcome.STOPPING
    await start_process()
    with pytest.raises(RunInterruptedError):
        await asyncio.wait_for(facade.join_wait(thread, run.run_id), 15)


async def test_a_worker_that_lost_its_lease_cannot_write_any_more(
    facade, bridge, thread, start_process, eventually
):
    given = {"count": 150, "pause_s": 0.02}
    zombie = await start_process()
    run = await facade.create_background(spec(thread, "counts_again", given))
    await first_event(bridge, run, "count")
    zombie.send_signal(signal.SIGSTOP)
    await start_process()
    await eventually(lambda: attempt_is(facade, run, 2), within_s=15)
    zombie.send_signal(signal.SIGCONT)
    assert await asyncio.wait_for(facade.join_wait(thread, run.run_id), 20) == 2
    events = await log_of(bridge, run)
    assert_whole(events)
    again = names_of(events).index("metadata", 1)
    attempts = {event.data["attempt"] for event in events[again:] if event.event == "count"}
    assert attempts == {2}
    assert zombie.returncode is None
    after = [await facade.create_background(spec(None, "echo", n)) for n in range(6)]
    values = [await facade.join_wait(each.thread_id, each.run_id) for each in after]
    assert values == list(range(6))


async def test_sigterm_lets_running_runs_finish(facade, bridge, thread, start_process):
    worker = await start_process()
    given = {"count": 30, "pause_s": 0.02}
    run = await facade.create_background(spec(thread, "counts", given))
    await first_event(bridge, run, "count")
    worker.terminate()
    assert await asyncio.wait_for(worker.wait(), 10) == 0
    record = await facade.get_run(thread, run.run_id)
    assert record.status is RunStatus.SUCCESS


async def test_sigterm_hands_a_long_run_back_at_once(facade, bridge, thread, start_process):
    leaving = await start_process(lease_s=60, drain_s=0.2)
    given = {"count": 300, "pause_s": 0.01}
    run = await facade.create_background(spec(thread, "counts_again", given))
    await first_event(bridge, run, "count")
    await start_process(lease_s=60)
    leaving.terminate()
    assert await asyncio.wait_for(leaving.wait(), 10) == 0
    assert await asyncio.wait_for(facade.join_wait(thread, run.run_id), 20) == 2


async def test_sigterm_ends_a_long_run_that_may_not_restart_and_says_why(
    facade, bridge, thread, start_process
):
    leaving = await start_process(lease_s=60, drain_s=0.2)
    run = await facade.create_background(spec(thread, "counts", {"count": 3000, "pause_s": 0.01}))
    await first_event(bridge, run, "count")
    leaving.terminate()
    assert await asyncio.wait_for(leaving.wait(), 10) == 0
    with pytest.raises(RunFailedError, match="may not be restarted") as caught:
        await asyncio.wait_for(facade.join_wait(thread, run.run_id), 5)
    assert caught.value.error == "WorkerStopped"
    assert (await log_of(bridge, run))[-1].event == "error"


async def test_handing_back_does_not_count_as_a_loss(facade, bridge, thread, start_process):
    given = {"count": 150, "pause_s": 0.01}
    run = await facade.create_background(spec(thread, "counts_again", given))
    for attempt in (1, 2):
        leaving = await start_process(lease_s=60, drain_s=0.1)
        await first_event_of(bridge, run, attempt)
        leaving.terminate()
        assert await asyncio.wait_for(leaving.wait(), 10) == 0
    await start_process(lease_s=60)
    assert await asyncio.wait_for(facade.join_wait(thread, run.run_id), 20) == 3


async def first_event_of(bridge, run, attempt):
    async with asyncio.timeout(20), bridge.subscribe(run.run_id) as items:
        async for item in items:
            if getattr(item, "event", None) == "count" and item.data["attempt"] == attempt:
                return


async def test_a_run_that_loses_one_worker_after_the_other_ends_after_max_attempts(
    facade, bridge, thread, start_process
):
    run = await facade.create_background(
        spec(thread, "counts_again", {"count": 9000, "pause_s": 0.01})
    )
    for attempt in (1, 2):
        victim = await start_process(probe_s=0.3)
        await first_event_of(bridge, run, attempt)
        victim.kill()
        await victim.wait()
    await start_process(probe_s=0.3)
    with pytest.raises(RunFailedError, match="max_attempts"):
        await asyncio.wait_for(facade.join_wait(thread, run.run_id), 15)


async def test_code_that_blocks_its_worker_for_longer_than_the_lease_keeps_its_run(
    facade, bridge, thread, start_process
):
    await start_process()
    run = await facade.create_background(spec(thread, "hogs", {"block_s": 2}))
    await first_event(bridge, run, "started")
    await start_process()
    assert await asyncio.wait_for(facade.join_wait(thread, run.run_id), 15) == 1


async def test_code_that_blocks_its_worker_for_too_long_loses_its_run(
    facade, bridge, thread, start_process
):
    await start_process(max_blocked_s=0.5)
    run = await facade.create_background(spec(thread, "hogs_again", {"block_s": 40}))
    await first_event(bridge, run, "started")
    await start_process(max_blocked_s=60, probe_s=0.3)
    assert await asyncio.wait_for(facade.join_wait(thread, run.run_id), 35) == 2


async def test_an_outage_longer_than_the_lease_takes_no_run_from_a_healthy_worker(
    facade, bridge, start_process, server, eventually
):
    for _ in range(3):
        await start_process()
    given = {"count": 400, "pause_s": 0.01}
    runs = [await facade.create_background(spec(None, "counts", given)) for _ in range(8)]
    for run in runs:
        await first_event(bridge, run, "count")
    await server.kill()
    await asyncio.sleep(2)  # twice the lease
    await server.restart()
    await eventually(lambda: bridge.is_connected, within_s=10)
    for run in runs:
        assert await asyncio.wait_for(facade.join_wait(run.thread_id, run.run_id), 30) == 1
        assert_whole(await log_of(bridge, run))


async def test_a_mistyped_setting_is_refused_at_the_start(start_process, tmp_path):
    worker = await start_process(concurency=3)
    assert await asyncio.wait_for(worker.wait(), 20) == 1
    assert b"concurency" in (tmp_path / "worker-0.log").read_bytes()
