"""Workers execute runs: in this process where nothing is killed, else in processes of their own."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from bridge import (
    END,
    AlreadyQueuedError,
    BridgeSettings,
    JetStreamBridge,
    NatsSettings,
    RunRef,
    StreamEvent,
)
from runs import (
    AssistantCatalog,
    AssistantSettings,
    CancelOutcome,
    MultitaskStrategy,
    RunFailedError,
    RunInterruptedError,
    RunManager,
    RunsFacade,
    RunSpec,
    RunStatus,
    ThreadStatus,
    WorkerSettings,
)
from runs.worker import Worker

HANDLERS = """
import asyncio
import time
from pathlib import Path

HERE = Path(__file__).parent


async def returns(ctx, given):
    return {"run": ctx.run_id, "thread": ctx.thread_id, "given": given, "attempt": ctx.attempt,
            "config": ctx.config, "metadata": ctx.metadata}


async def yields_garbage(ctx, given):
    yield 17


async def result_is_no_json(ctx, given):
    return {"a": float("nan")}


async def too_large(ctx, given):
    await ctx.emit("big", "x" * (9 << 20))
    await ctx.flush()


async def marks(ctx, given):
    (HERE / "marked").touch()
    yield "marked", None


async def tidy(ctx, given):
    try:
        yield "started", None
        await asyncio.sleep(60)
    finally:
        (HERE / "tidied").write_text(str(ctx.cancelled))


async def stubborn(ctx, given):
    yield "started", None
    for n in range(1200):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            pass
        yield "tick", n


def blocks(ctx, given):
    ctx.emit("started", {"attempt": ctx.attempt})
    time.sleep(given["block_s"])
    return given


def generates(ctx, given):
    for n in range(given):
        yield "n", n
    ctx.result(ctx.config)


def stops_when_told(ctx, given):
    ctx.emit("started", None)
    try:
        while True:
            ctx.emit("tick", ctx.cancelled)
            time.sleep(0.02)
    finally:
        (HERE / "tidied").write_text(str(ctx.cancelled))


def exits(ctx, given):
    raise SystemExit(3)


async def hogs(ctx, given):
    yield "started", {"attempt": ctx.attempt}
    await asyncio.sleep(0.1)
    time.sleep(given["block_s"])
    ctx.result(ctx.attempt)


async def hogs_until_taken_over(ctx, given):
    taken_over = HERE / f"{ctx.run_id}.taken-over"
    yield "started", {"attempt": ctx.attempt}
    await asyncio.sleep(0.1)
    if ctx.attempt > 1:
        taken_over.touch()
    deadline = time.monotonic() + given["block_s"]
    while not taken_over.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    ctx.result(ctx.attempt)


async def counts(ctx, given):
    for n in range(given["count"]):
        yield "count", {"n": n, "attempt": ctx.attempt}
        await asyncio.sleep(given["pause_s"])
    ctx.result(ctx.attempt)
"""
NAMES = (
    "returns",
    "yields_garbage",
    "result_is_no_json",
    "too_large",
    "blocks",
    "exits",
    "generates",
    "hogs",
    "marks",
    "stops_when_told",
    "tidy",
    "stubborn",
    "counts",
    "missing",
)


def bridge_settings(server):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    return BridgeSettings(nats=nats)


@pytest.fixture
def handlers(tmp_path):
    path = tmp_path / "handlers.py"
    path.write_text(HANDLERS)
    return path


@pytest.fixture
def assistants(handlers):
    declared = {name: AssistantSettings(function=f"{handlers}:{name}") for name in NAMES}
    again = AssistantSettings(
        function=f"{handlers}:counts", on_worker_lost="restart", max_attempts=2
    )
    hogs = AssistantSettings(function=f"{handlers}:hogs_until_taken_over", on_worker_lost="restart")
    short = AssistantSettings(function=f"{handlers}:counts", timeout_s=0.3)
    return {**declared, "counts_again": again, "hogs_again": hogs, "counts_shortly": short}


@pytest.fixture
async def bridge(server):
    async with JetStreamBridge(bridge_settings(server)) as opened:
        yield opened


@pytest.fixture
def facade(bridge, assistants):
    return RunsFacade(RunManager(bridge, AssistantCatalog(assistants)), bridge)


@pytest.fixture
async def thread(facade):
    return (await facade.create_thread()).thread_id


@pytest.fixture
def serving(server, assistants):
    """Serve in this process: ``async with serving(concurrency=2) as worker``."""

    @asynccontextmanager
    async def serve(**settings):
        limits = WorkerSettings(**{"lease_s": 2, "cancel_grace_s": 0.3, "drain_s": 5, **settings})
        async with JetStreamBridge(bridge_settings(server)) as own:
            worker = Worker(own, AssistantCatalog(assistants), limits)
            stop = asyncio.Event()
            task = asyncio.create_task(worker.serve(stop))
            try:
                yield worker
            finally:
                stop.set()
                await task

    return serve


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


def spec(thread, assistant, given=None, **options):
    return RunSpec(thread_id=thread, assistant_id=assistant, input=given, **options)


async def served(facade):
    """Wait until a worker is there, however long it takes to start on a busy machine."""
    run = await facade.create_background(spec(None, "returns"))
    await asyncio.wait_for(facade.join_wait(run.thread_id, run.run_id), 30)


async def events_of(bridge, run, *, within_s=30):
    events = []
    async with asyncio.timeout(within_s), bridge.follow(run.run_id) as following:
        async for batch in following.batches():
            events.extend(item for item in batch if isinstance(item, StreamEvent))
            if batch[-1] is END:
                break
    return events


async def first_event(bridge, run, name, *, within_s=20):
    async with asyncio.timeout(within_s), bridge.subscribe(run.run_id) as items:
        async for item in items:
            if isinstance(item, StreamEvent) and item.event == name:
                return item
    return pytest.fail(f"run {run.run_id} ended without an event {name}")


def names_of(events):
    return [event.event for event in events]


def assert_whole(events):
    assert [event.run_seq for event in events] == list(range(1, len(events) + 1))
    assert [event.is_terminal for event in events] == [False] * (len(events) - 1) + [True]


async def test_a_run_is_executed_and_everything_agrees_at_its_end(facade, bridge, thread, serving):
    async with serving() as worker:
        run = await facade.create_background(spec(thread, "echo", {"hello": "world"}))
        assert await facade.join_wait(thread, run.run_id) == {"hello": "world"}
    events = await events_of(bridge, run)
    assert names_of(events) == ["metadata", "echo", "values", "end"]
    assert_whole(events)
    assert events[-1].data == {"status": "success", "outputs": events[-2].id, "error": None}
    assert events[-2].category == "outputs"
    record = await facade.get_run(thread, run.run_id)
    assert (record.status, record.attempt, record.worker) == ("success", 1, worker.name)
    assert record.created_at <= record.started_at <= record.ended_at
    state = await facade.thread_state(thread)
    assert (state.values, state.thread.status) == ({"hello": "world"}, ThreadStatus.IDLE)


async def test_thousands_of_events_without_delay_are_stored_once_and_in_order(
    facade, bridge, thread, serving
):
    async with serving():
        run = await facade.create_background(spec(thread, "echo", {"events": 5000, "size": 100}))
        events = await events_of(bridge, run)
    assert_whole(events)
    assert [event.data["n"] for event in events[1:-2]] == list(range(1, 5001))


async def test_a_coroutine_function_returns_its_values_and_knows_its_run(facade, thread, serving):
    async with serving():
        wanted = spec(thread, "returns", [1], config={"tags": ["a"]}, metadata={"m": 1})
        run = await facade.create_background(wanted)
        assert await facade.join_wait(thread, run.run_id) == {
            "run": run.run_id,
            "thread": thread,
            "given": [1],
            "attempt": 1,
            "config": {"tags": ["a"]},
            "metadata": {"m": 1},
        }


@pytest.mark.parametrize(
    "failure",
    [
        ("echo", {"fail": "as asked"}, "EchoError", "as asked"),
        ("echo", {"events": -1}, "ValidationError", "events"),
        ("yields_garbage", None, "TypeError", "a handler yields"),
        ("result_is_no_json", None, "InvalidContentError", "not JSON"),
        ("too_large", None, "EventTooLargeError", "limit"),
        ("exits", None, "RuntimeError", "SystemExit: 3"),
        ("missing", None, "AssistantLoadError", "has no 'missing'"),
    ],
    ids=lambda failure: failure[2],
)
async def test_wait_raises_on_failure_and_the_thread_is_free(
    facade, bridge, thread, serving, failure
):
    assistant, given, error, message = failure
    async with serving():
        run = await facade.create_background(spec(thread, assistant, given))
        with pytest.raises(RunFailedError, match=message) as caught:
            await facade.join_wait(thread, run.run_id)
        assert caught.value.error == error
        assert (await facade.get_thread(thread)).status is ThreadStatus.ERROR
        again = spec(thread, "echo", 1, multitask_strategy=MultitaskStrategy.REJECT)
        assert (await facade.create_background(again)).status is RunStatus.PENDING
    assert names_of(await events_of(bridge, run))[-1] == "error"


async def test_sync_functions_run_in_threads_of_their_own(facade, bridge, thread, serving):
    async with serving():
        blocking = [spec(None, "blocks", {"block_s": 0.5}) for _ in range(4)]
        runs = [await facade.create_background(each) for each in blocking]
        async with asyncio.timeout(1.8):
            await asyncio.gather(*(facade.join_wait(run.thread_id, run.run_id) for run in runs))
        wanted = spec(thread, "generates", 3, config={"a": 1})
        run = await facade.create_background(wanted)
        assert await facade.join_wait(thread, run.run_id) == {"a": 1}
    assert names_of(await events_of(bridge, run)) == ["metadata", *"nnn", "values", "end"]


async def test_a_sync_function_is_told_to_stop_by_its_next_call(
    facade, bridge, thread, serving, tmp_path
):
    async with serving(cancel_grace_s=5):
        run = await facade.create_background(spec(thread, "stops_when_told"))
        await first_event(bridge, run, "tick")
        async with asyncio.timeout(2):
            await facade.cancel(thread, run.run_id, wait=True)
        assert (tmp_path / "tidied").read_text() == "True"
    events = await events_of(bridge, run)
    assert_whole(events)
    assert {event.data for event in events if event.event == "tick"} == {False}


async def test_a_sync_function_that_does_not_listen_is_left_behind(
    facade, thread, serving, eventually
):
    async with serving():
        run = await facade.create_background(spec(thread, "blocks", {"block_s": 4}))
        await eventually(lambda: attempt_is(facade, run, 1))
        async with asyncio.timeout(2):
            await facade.cancel(thread, run.run_id, wait=True)
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.INTERRUPTED


async def test_a_run_that_takes_too_long_ends_as_timeout(facade, bridge, thread, serving):
    async with serving():
        given = {"count": 1000, "pause_s": 0.01}
        run = await facade.create_background(spec(thread, "counts_shortly", given))
        with pytest.raises(RunFailedError, match=r"longer than 0\.3 s") as caught:
            await asyncio.wait_for(facade.join_wait(thread, run.run_id), 5)
        assert caught.value.error == "TimeoutError"
        short = await facade.create_background(
            spec(thread, "counts_shortly", {"count": 1, "pause_s": 0})
        )
        assert await facade.join_wait(thread, short.run_id) == 1
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.TIMEOUT
    assert (await events_of(bridge, run))[-1].event == "error"


async def test_queued_runs_are_executed_one_after_the_other(facade, bridge, thread, serving):
    async with serving():
        runs = [await facade.create_background(spec(thread, "echo", n)) for n in range(10)]
        values = await asyncio.gather(*(facade.join_wait(thread, run.run_id) for run in runs))
        assert values == list(range(10))
    events = [await events_of(bridge, run) for run in runs]
    for earlier, later in pairwise(events):
        # The later run's first step comes after the earlier run's terminal.
        assert earlier[-1].event_id.stream_seq < later[1].event_id.stream_seq


async def test_a_worker_executes_no_more_runs_at_once_than_it_may(facade, bridge, serving):
    async with serving(concurrency=2):
        given = {"events": 3, "delay_s": 0.05}
        runs = [await facade.create_background(spec(None, "echo", given)) for _ in range(7)]
        logs = await asyncio.gather(*(events_of(bridge, run) for run in runs))
    steps = [
        (seq, change)
        for log in logs
        for seq, change in ((log[1].event_id.stream_seq, 1), (log[-1].event_id.stream_seq, -1))
    ]
    active = peak = 0
    for _, change in sorted(steps):
        active += change
        peak = max(peak, active)
    assert peak == 2


async def test_cancelling_a_running_run_stops_its_handler_within_a_second(
    facade, bridge, thread, serving, tmp_path
):
    async with serving(state_poll_s=60):
        run = await facade.create_background(spec(thread, "tidy"))
        await first_event(bridge, run, "started")
        async with asyncio.timeout(1):
            outcome = await facade.cancel(thread, run.run_id, wait=True)
        assert outcome is CancelOutcome.STOPPED
        assert (tmp_path / "tidied").read_text() == "True"
        assert await facade.cancel(thread, run.run_id) is CancelOutcome.STOPPED
        with pytest.raises(RunInterruptedError):
            await facade.join_wait(thread, run.run_id)
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.INTERRUPTED
    assert names_of(await events_of(bridge, run)) == ["metadata", "started", "cancel"]


async def test_a_cancel_whose_nudge_is_lost_is_noticed_all_the_same(
    facade, bridge, thread, serving
):
    async def lose(_):
        pass

    async with serving(state_poll_s=0.2):
        run = await facade.create_background(spec(thread, "tidy"))
        await first_event(bridge, run, "started")
        bridge.controls.nudge = lose
        async with asyncio.timeout(2):
            await facade.cancel(thread, run.run_id, wait=True)


async def test_a_handler_that_ignores_its_cancellation_is_cut_and_cannot_write_any_more(
    facade, bridge, thread, serving
):
    async with serving():
        run = await facade.create_background(spec(thread, "stubborn"))
        await first_event(bridge, run, "tick")
        async with asyncio.timeout(2):
            await facade.cancel(thread, run.run_id, wait=True)
        after = await facade.create_background(spec(thread, "echo", 1))
        assert await facade.join_wait(thread, after.run_id) == 1
    events = await events_of(bridge, run)
    assert events[-1].event == "cancel"
    assert_whole(events)


async def test_a_cancelled_pending_run_never_runs(facade, thread, serving, tmp_path):
    cancelled = await facade.create_background(spec(thread, "marks"))
    queued = await facade.create_background(spec(thread, "marks"))
    behind = await facade.create_background(spec(thread, "echo", "ran"))
    for run in (queued, cancelled):
        await facade.cancel(thread, run.run_id)
    async with serving():
        assert await facade.join_wait(thread, behind.run_id) == "ran"
    assert not (tmp_path / "marked").exists()


async def test_a_cancelled_run_whose_canceller_died_is_ended_by_the_worker(
    facade, bridge, thread, serving, tmp_path
):
    async def die(*_, **__):
        raise KeyboardInterrupt

    run = await facade.create_background(spec(thread, "marks"))
    publish_terminal, bridge.publish_terminal = bridge.publish_terminal, die
    with pytest.raises(KeyboardInterrupt):
        await facade.cancel(thread, run.run_id)
    bridge.publish_terminal = publish_terminal
    async with serving():
        with pytest.raises(RunInterruptedError):
            await facade.join_wait(thread, run.run_id)
    assert not (tmp_path / "marked").exists()


async def test_a_run_sealed_by_a_worker_that_died_at_once_is_completed_by_the_next(
    facade, bridge, thread, serving
):
    run = await facade.create_background(spec(thread, "marks"))
    queued = await facade.create_background(spec(thread, "echo", 2))
    manager = RunManager(bridge, AssistantCatalog())
    await manager.start(RunRef(thread, run.run_id), "dead", 1)
    await bridge.publish_end(run.run_id)
    async with serving():
        assert await facade.join_wait(thread, queued.run_id) == 2
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.SUCCESS


async def test_a_late_job_of_a_finished_run_is_dropped(facade, bridge, thread, serving, eventually):
    async with serving():
        run = await facade.create_background(spec(thread, "echo", 1))
        await facade.join_wait(thread, run.run_id)
        await eventually(lambda: put_again(bridge, run))
        other = await facade.create_background(spec(thread, "echo", 2))
        await facade.join_wait(thread, other.run_id)
    assert names_of(await events_of(bridge, run)) == ["metadata", "echo", "values", "end"]


async def test_a_run_whose_record_is_lost_ends_and_frees_the_thread(
    facade, bridge, thread, serving
):
    run = await facade.create_background(spec(thread, "marks"))
    records = RunManager(bridge, AssistantCatalog()).records
    await records.delete_run(await records.find_run(run.run_id))
    queued = await facade.create_background(spec(thread, "echo", 2))
    async with serving():
        assert await facade.join_wait(thread, queued.run_id) == 2
    assert names_of(await events_of(bridge, run)) == ["metadata", "dead_letter"]


async def test_a_malformed_job_is_dropped_and_the_worker_goes_on(facade, bridge, thread, serving):
    await bridge.jobs.put("echo", "not-a-run", b"[]")
    await bridge.jobs.put("echo", "unknown-run", b'{"thread_id":"unknown"}')
    async with serving():
        run = await facade.create_background(spec(thread, "echo", 1))
        assert await facade.join_wait(thread, run.run_id) == 1


async def put_again(bridge, run):
    try:
        await bridge.jobs.put("echo", run.run_id, b'{"thread_id":"%s"}' % run.thread_id.encode())
    except AlreadyQueuedError:
        return False  # the worker is about to acknowledge the first job
    return True


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
    events = await events_of(bridge, run)
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
    events = await events_of(bridge, run)
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
    events = await events_of(bridge, run)
    assert_whole(events)
    again = names_of(events).index("metadata", 1)
    attempts = {event.data["attempt"] for event in events[again:] if event.event == "count"}
    assert attempts == {2}
    assert zombie.returncode is None
    after = [await facade.create_background(spec(None, "echo", n)) for n in range(6)]
    values = [await facade.join_wait(each.thread_id, each.run_id) for each in after]
    assert values == list(range(6))


async def attempt_is(facade, run, attempt):
    return (await facade.get_run(run.thread_id, run.run_id)).attempt == attempt


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
    assert (await events_of(bridge, run))[-1].event == "error"


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
        assert_whole(await events_of(bridge, run))


async def test_a_run_goes_on_through_an_outage_of_the_server(
    facade, bridge, thread, serving, server, eventually
):
    async with serving(lease_s=10):
        given = {"count": 300, "pause_s": 0.005}
        run = await facade.create_background(spec(thread, "counts", given))
        await first_event(bridge, run, "count")
        await server.kill()
        await server.restart()
        await eventually(lambda: bridge.is_connected, within_s=10)
        assert await asyncio.wait_for(facade.join_wait(thread, run.run_id), 30) == 1
    events = await events_of(bridge, run)
    assert_whole(events)
    assert [event.data["n"] for event in events if event.event == "count"] == list(range(300))


async def test_a_mistyped_setting_is_refused_at_the_start(start_process, tmp_path):
    worker = await start_process(concurency=3)
    assert await asyncio.wait_for(worker.wait(), 20) == 1
    assert b"concurency" in (tmp_path / "worker-0.log").read_bytes()
