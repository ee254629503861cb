"""Wounds of run control that users of comparable systems suffered from, on both managers.

The tests are here where no other one shows just this, and else where this list says. Those of this
folder run over memory and over a real server, with their workers in this process; what a killed
process adds, and what a gateway adds, is shown over the server.

Reject is check-then-create: five concurrent runs are all admitted
    test_run_manager.py:
        test_reject_admits_one_of_five_concurrent_creates_over_two_managers
Interrupt overlaps two active runs
    test_run_manager.py:
        test_a_replacing_run_starts_after_all_others_have_ended
        test_concurrent_replacing_runs_over_two_managers_leave_one
    here:
        test_an_interrupting_run_never_overlaps_the_one_it_replaces
Cancel before the first step leaves "starting" for ever
    test_run_manager.py:
        test_cancel_before_the_first_step_ends_the_run_and_frees_the_thread
A cancelled pending run still runs
    here:
        test_a_cancelled_pending_run_is_not_executed
A late success overwrites interrupted
    test_run_manager.py:
        test_a_late_success_does_not_overwrite_interrupted
    here:
        test_a_handler_that_returns_in_spite_of_its_cancel_stays_interrupted
Runs stay "running" after a crash, and the thread is blocked
    here:
        test_a_run_whose_worker_is_gone_ends_and_frees_the_thread
    ../integration/test_worker_processes.py:
        test_a_crash_leaves_no_run_running_for_ever_and_the_thread_free
The second cancel is refused
    test_run_manager.py:
        test_a_second_cancel_is_accepted_from_any_gateway
A cancel on another replica is refused
    here:
        test_a_running_run_is_cancelled_from_another_replica
    ../integration/test_two_gateways.py:
        test_a_run_is_cancelled_on_the_other_and_both_tell_its_end
A rollback restores over a newer run
    here:
        test_a_rollback_leaves_what_a_newer_run_made
An exception in set-up blocks the thread
    test_run_manager.py:
        test_a_log_without_room_leaves_the_thread_free
    here:
        test_an_assistant_that_cannot_be_loaded_fails_its_run_and_frees_the_thread
Waiting returns a half-finished state as success
    test_run_manager.py:
        test_waiting_for_a_failed_run_raises_its_error
    here:
        test_waiting_returns_final_values_or_raises_whatever_was_emitted_before
The terminal is visible before the state is
    here:
        test_record_and_thread_are_final_when_a_wait_returns
    ../integration/test_sse_wire.py:
        test_the_state_is_final_before_the_end_is_visible
A bridge hiccup or a leaving watcher cancels a healthy run
    here:
        test_watchers_that_leave_do_not_disturb_the_run
    ../integration/test_worker.py:
        test_a_run_goes_on_through_an_outage_of_the_server
    ../integration/test_worker_processes.py:
        test_an_outage_longer_than_the_lease_takes_no_run_from_a_healthy_worker
Finished records are never evicted
    test_run_deletion.py:
        test_the_thread_of_a_stateless_run_is_removed_when_its_time_has_come
    test_run_expiry.py:
        test_the_runs_that_ended_first_leave_beyond_the_number_kept
        test_runs_leave_when_they_are_old_enough
    ../unit/test_in_memory.py:
        test_ended_runs_leave_the_memory_when_their_time_is_over
A worker that lost its lease keeps writing
    here:
        test_a_worker_whose_run_was_taken_over_cannot_write_any_more
    ../integration/test_worker_processes.py:
        test_a_worker_that_lost_its_lease_cannot_write_any_more
An idempotent retry blocks a peer
    test_run_idempotency.py:
        test_concurrent_repeats_from_four_processes_make_one_run
        test_a_creator_that_died_at_any_write_is_made_good_by_the_repeat
Secrets in metadata are echoed
    ../unit/test_shapes.py:
        test_secrets_in_metadata_and_config_are_not_echoed
The user filter is bypassed for records in memory
    test_run_manager.py:
        test_another_users_thread_and_run_are_as_if_they_did_not_exist
    test_run_deletion.py:
        test_a_run_of_another_thread_or_user_is_not_deleted
"""

import asyncio
import re
from itertools import pairwise
from pathlib import Path

import pytest
from run_logs import first_event, log_of
from running import ref, spec, succeed

from bridge import StreamFencedError, StreamTerminatedError
from runs import (
    AssistantSettings,
    CancelOutcome,
    MultitaskStrategy,
    RunFailedError,
    RunInterruptedError,
    RunNotCancellableError,
    RunNotFoundError,
    RunStatus,
    ThreadStatus,
)

FOLDER = Path(__file__).parent

HANDLERS = """
import asyncio
from pathlib import Path

HERE = Path(__file__).parent


async def marks(ctx, given):
    (HERE / "marked").touch()


async def counts(ctx, given):
    for n in range(given):
        yield "count", n
        await asyncio.sleep(0.005)
    ctx.result(given)


async def insists(ctx, given):
    try:
        yield "started", None
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        pass
    ctx.result("success, of all things")


async def half_done(ctx, given):
    yield "values", {"half": "done"}
    ctx.result({"half": "done"})
    raise ValueError("the other half")
"""


@pytest.fixture
def assistants(tmp_path):
    """Functions that behave badly in one way each, as settings of assistants."""
    path = tmp_path / "handlers.py"
    path.write_text(HANDLERS)
    names = re.findall(r"^async def (\w+)", HANDLERS, re.MULTILINE)
    return {name: AssistantSettings(function=f"{path}:{name}") for name in [*names, "missing"]}


def test_every_wound_names_tests_that_exist():
    proofs = re.findall(r"^ {4}(\S+):\n((?: {8}test_\w+\n)+)", __doc__, re.MULTILINE)
    names = [(page, name) for page, tests in proofs for name in tests.split()]
    assert len(names) == __doc__.count("\n        test_") > 25
    for page, name in names:
        source = Path(__file__) if page == "here" else FOLDER / page
        assert f"def {name}(" in source.read_text(), name


async def test_an_interrupting_run_never_overlaps_the_one_it_replaces(
    facade, bridge, thread, working
):
    async with working():
        runs = [await facade.create_background(spec(thread, "counts", input=1000))]
        await first_event(bridge, runs[0], "count")
        for _ in range(3):
            wanted = spec(thread, "counts", input=1000, multitask_strategy="interrupt")
            runs.append(await facade.create_background(wanted))
        await first_event(bridge, runs[-1], "count")
        await facade.cancel(thread, runs[-1].run_id, wait=True)
    logs = [await log_of(bridge, run) for run in runs]
    counted = [[event for event in log if event.event == "count"] for log in logs]
    places = [
        (log[0].event_id.stream_seq, ends[-1].event_id.stream_seq)
        for log, ends in zip(counted, logs, strict=True)
        if log
    ]
    assert len(places) >= 2
    for (_, ended), (began, _) in pairwise(places):
        assert ended < began


async def test_a_cancelled_pending_run_is_not_executed(facade, thread, working, tmp_path):
    pending, queued = [await facade.create_background(spec(thread, "marks")) for _ in range(2)]
    behind = await facade.create_background(spec(thread, input="ran"))
    for run in (queued, pending):
        assert await facade.cancel(thread, run.run_id) is CancelOutcome.STOPPED
    async with working():
        assert await facade.join_wait(thread, behind.run_id) == "ran"
    assert not (tmp_path / "marked").exists()


async def test_a_handler_that_returns_in_spite_of_its_cancel_stays_interrupted(
    facade, bridge, thread, working
):
    async with working():
        run = await facade.create_background(spec(thread, "insists"))
        await first_event(bridge, run, "started")
        await facade.cancel(thread, run.run_id, wait=True)
        with pytest.raises(RunInterruptedError):
            await facade.join_wait(thread, run.run_id)
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.INTERRUPTED
    assert [event.event for event in await log_of(bridge, run)] == ["metadata", "started", "cancel"]


async def test_a_run_whose_worker_is_gone_ends_and_frees_the_thread(
    facade, manager, connect, thread, working
):
    run = await facade.create_background(spec(thread))
    queued = await facade.create_background(spec(thread, input="next"))
    consumer = await (await connect()).jobs.consumer("echo", lease_s=1)
    assert [job.run_id for job in await consumer.fetch(1, wait_s=5)] == [run.run_id]
    await manager.start(ref(run), "gone", 1)
    async with asyncio.timeout(20), working():
        with pytest.raises(RunFailedError, match="worker_lost"):
            await facade.join_wait(thread, run.run_id)
        assert await facade.join_wait(thread, queued.run_id) == "next"
    await consumer.close()
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.ERROR
    assert (await facade.get_thread(thread)).status is ThreadStatus.IDLE


async def test_a_running_run_is_cancelled_from_another_replica(
    facade, make_manager, bridge, thread, working
):
    elsewhere = await make_manager()
    async with working():
        run = await facade.create_background(spec(thread, "counts", input=10_000))
        await first_event(bridge, run, "count")
        assert await elsewhere.cancel(ref(run)) is CancelOutcome.STOPPING
        async with asyncio.timeout(5):
            with pytest.raises(RunInterruptedError):
                await facade.join_wait(thread, run.run_id)
        assert await elsewhere.cancel(ref(run)) is CancelOutcome.STOPPED


async def test_a_rollback_leaves_what_a_newer_run_made(facade, manager, bridge, thread):
    old = await facade.create_background(spec(thread))
    await manager.start(ref(old), "w", 1)
    newer = await facade.create_background(spec(thread))
    await facade.cancel(thread, old.run_id, action="rollback")
    await bridge.cancel(old.run_id)
    await manager.reconciler.repair(thread)
    await succeed(bridge, facade, newer, {"made": "by the newer"})
    with pytest.raises(RunNotFoundError):
        await facade.settle(thread, old.run_id)
    with pytest.raises(RunNotFoundError):
        await facade.cancel(thread, old.run_id, action="rollback")
    with pytest.raises(RunNotCancellableError):
        await facade.cancel(thread, newer.run_id, action="rollback")
    assert (await facade.thread_state(thread)).values == {"made": "by the newer"}


async def test_an_assistant_that_cannot_be_loaded_fails_its_run_and_frees_the_thread(
    facade, thread, working
):
    async with working():
        run = await facade.create_background(spec(thread, "missing"))
        with pytest.raises(RunFailedError, match="has no 'missing'"):
            await facade.join_wait(thread, run.run_id)
        again = spec(thread, input=1, multitask_strategy=MultitaskStrategy.REJECT)
        run = await facade.create_background(again)
        assert await facade.join_wait(thread, run.run_id) == 1


async def test_waiting_returns_final_values_or_raises_whatever_was_emitted_before(
    facade, thread, working
):
    async with working():
        run = await facade.create_background(spec(thread, "half_done"))
        with pytest.raises(RunFailedError, match="the other half"):
            await facade.join_wait(thread, run.run_id)
    assert (await facade.thread_state(thread)).values is None


async def test_record_and_thread_are_final_when_a_wait_returns(facade, bridge, thread):
    """The log is sealed, and nobody has told record and thread: the waiter does."""
    for _ in range(5):
        run = await facade.create_background(spec(thread))
        waiting = asyncio.create_task(facade.join_wait(thread, run.run_id))
        await asyncio.sleep(0)
        await bridge.publish_end(run.run_id)
        assert await waiting is None
        assert (await facade.get_run(thread, run.run_id)).status is RunStatus.SUCCESS
        assert (await facade.get_thread(thread)).status is ThreadStatus.IDLE


async def test_watchers_that_leave_do_not_disturb_the_run(facade, bridge, connect, thread, working):
    async with working():
        run = await facade.create_background(spec(thread, "counts", input=60))
        other = await connect()
        waiting = asyncio.create_task(facade.join_wait(thread, run.run_id))
        for watched in (bridge, other, bridge, other):
            await first_event(watched, run, "count")
        waiting.cancel()
        await other.close()
        assert await facade.join_wait(thread, run.run_id) == 60
    counted = [event.data for event in await log_of(bridge, run) if event.event == "count"]
    assert counted == list(range(60))


async def test_a_worker_whose_run_was_taken_over_cannot_write_any_more(
    facade, manager, bridge, connect, thread, working
):
    thief = await connect()
    async with working():
        run = await facade.create_background(spec(thread, "counts", input=10_000))
        await first_event(bridge, run, "count")
        await manager.start(ref(run), "thief", 2)
        await thief.begin_attempt(run.run_id, 2)
        await asyncio.gather(*(thief.publish(run.run_id, "mine", n) for n in range(20)))
        await thief.publish_end(run.run_id)
        await facade.settle(thread, run.run_id)
    events = [event.event for event in await log_of(bridge, run)]
    second = events.index("metadata", 1)
    assert events[second:] == ["metadata", *["mine"] * 20, "end"]
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.SUCCESS
    with pytest.raises((StreamFencedError, StreamTerminatedError)):
        await bridge.publish(run.run_id, "late", 1)
