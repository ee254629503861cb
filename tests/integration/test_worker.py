"""Workers execute runs, in this process: nothing is killed but the server."""

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from run_logs import first_event, log_of
from worker_functions import assert_whole, attempt_is, declared_in, names_of, spec

from bridge import AlreadyQueuedError, JetStreamBridge, RunRef
from runs import (
    AssistantCatalog,
    CancelOutcome,
    MultitaskStrategy,
    RunFailedError,
    RunInterruptedError,
    RunManager,
    RunsFacade,
    RunStatus,
    ThreadStatus,
    WorkerSettings,
)
from runs.worker import Worker


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
def serving(settings, assistants):
    """Serve in this process: ``async with serving(concurrency=2) as worker``."""

    @asynccontextmanager
    async def serve(**limits):
        given = {"lease_s": 2, "cancel_grace_s": 0.3, "drain_s": 5, **limits}
        async with JetStreamBridge(settings.bridge) as own:
            worker = Worker(own, AssistantCatalog(assistants), WorkerSettings(**given))
            stop = asyncio.Event()
            task = asyncio.create_task(worker.serve(stop))
            try:
                yield worker
            finally:
                stop.set()
                await task

    return serve


async def test_a_run_is_executed_and_everything_agrees_at_its_end(facade, bridge, thread, serving):
    async with serving() as worker:
        run = await facade.create_background(spec(thread, "echo", {"hello": "world"}))
        assert await facade.join_wait(thread, run.run_id) == {"hello": "world"}
    events = await log_of(bridge, run)
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
        events = await log_of(bridge, run)
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
    assert names_of(await log_of(bridge, run))[-1] == "error"


async def test_sync_functions_run_in_threads_of_their_own(facade, bridge, thread, serving):
    async with serving():
        runs = [await facade.create_background(spec(None, "meets", n)) for n in range(4)]
        met = [await facade.join_wait(run.thread_id, run.run_id) for run in runs]
        assert met == [0, 1, 2, 3]
        wanted = spec(thread, "generates", 3, config={"a": 1})
        run = await facade.create_background(wanted)
        assert await facade.join_wait(thread, run.run_id) == {"a": 1}
    assert names_of(await log_of(bridge, run)) == ["metadata", *"nnn", "values", "end"]


async def test_a_sync_function_is_told_to_stop_by_its_next_call(
    facade, bridge, thread, serving, tmp_path
):
    async with serving(cancel_grace_s=5):
        run = await facade.create_background(spec(thread, "stops_when_told"))
        await first_event(bridge, run, "tick")
        async with asyncio.timeout(2):
            await facade.cancel(thread, run.run_id, wait=True)
        assert (tmp_path / "tidied").read_text() == "True"
    events = await log_of(bridge, run)
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
    assert (await log_of(bridge, run))[-1].event == "error"


async def test_queued_runs_are_executed_one_after_the_other(facade, bridge, thread, serving):
    async with serving():
        runs = [await facade.create_background(spec(thread, "echo", n)) for n in range(10)]
        values = await asyncio.gather(*(facade.join_wait(thread, run.run_id) for run in runs))
        assert values == list(range(10))
    events = [await log_of(bridge, run) for run in runs]
    for earlier, later in pairwise(events):
        # The later run's first step comes after the earlier run's terminal.
        assert earlier[-1].event_id.stream_seq < later[1].event_id.stream_seq


async def test_a_worker_executes_no_more_runs_at_once_than_it_may(facade, bridge, serving):
    async with serving(concurrency=2):
        given = {"events": 3, "delay_s": 0.05}
        runs = [await facade.create_background(spec(None, "echo", given)) for _ in range(7)]
        logs = await asyncio.gather(*(log_of(bridge, run) for run in runs))
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


async def test_cancelling_a_running_run_stops_its_handler_before_the_next_look(
    facade, bridge, thread, serving, tmp_path
):
    async with serving(state_poll_s=60):
        run = await facade.create_background(spec(thread, "tidy"))
        await first_event(bridge, run, "started")
        async with asyncio.timeout(20):
            outcome = await facade.cancel(thread, run.run_id, wait=True)
        assert outcome is CancelOutcome.STOPPED
        assert (tmp_path / "tidied").read_text() == "True"
        assert await facade.cancel(thread, run.run_id) is CancelOutcome.STOPPED
        with pytest.raises(RunInterruptedError):
            await facade.join_wait(thread, run.run_id)
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.INTERRUPTED
    assert names_of(await log_of(bridge, run)) == ["metadata", "started", "cancel"]


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
    events = await log_of(bridge, run)
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


async def test_a_run_that_somebody_else_has_sealed_counts_as_it_was_sealed(
    facade, bridge, thread, serving, tmp_path
):
    async with serving(state_poll_s=60) as worker:
        run = await facade.create_background(spec(thread, "waits_for_go"))
        await first_event(bridge, run, "started")
        await bridge.cancel(run.run_id)
        (tmp_path / "go").touch()
    assert worker.figures.ended == {RunStatus.INTERRUPTED: 1}
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.INTERRUPTED


async def test_a_late_job_of_a_finished_run_is_dropped(facade, bridge, thread, serving, eventually):
    async with serving():
        run = await facade.create_background(spec(thread, "echo", 1))
        await facade.join_wait(thread, run.run_id)
        await eventually(lambda: put_again(bridge, run))
        other = await facade.create_background(spec(thread, "echo", 2))
        await facade.join_wait(thread, other.run_id)
    assert names_of(await log_of(bridge, run)) == ["metadata", "echo", "values", "end"]


async def test_a_run_whose_record_is_lost_ends_and_frees_the_thread(
    facade, bridge, thread, serving
):
    run = await facade.create_background(spec(thread, "marks"))
    records = RunManager(bridge, AssistantCatalog()).records
    await records.delete_run(await records.find_run(run.run_id))
    queued = await facade.create_background(spec(thread, "echo", 2))
    async with serving():
        assert await facade.join_wait(thread, queued.run_id) == 2
    assert names_of(await log_of(bridge, run)) == ["metadata", "dead_letter"]


async def test_a_malformed_job_is_dropped_and_the_worker_goes_on(facade, bridge, thread, serving):
    await bridge.jobs.put("echo", "not-a-run", b"[]")
    await bridge.jobs.put("echo", "unknown-run", b'{"thread_id":"unknown"}')
    async with serving():
        run = await facade.create_background(spec(thread, "echo", 1))
        assert await facade.join_wait(thread, run.run_id) == 1
    for run_id in ("not-a-run", "unknown-run"):
        await bridge.jobs.put("echo", run_id, b"[]")  # which would be refused for one that waits


async def put_again(bridge, run):
    try:
        await bridge.jobs.put("echo", run.run_id, b'{"thread_id":"%s"}' % run.thread_id.encode())
    except AlreadyQueuedError:
        return False  # the worker is about to acknowledge the first job
    return True


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
    events = await log_of(bridge, run)
    assert_whole(events)
    assert [event.data["n"] for event in events if event.event == "count"] == list(range(300))
