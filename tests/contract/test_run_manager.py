"""Run control on both bridges: admission, cancel, settling, and what a crash leaves behind."""

import asyncio
from datetime import timedelta

import pytest
from running import ProcessDiedError, die, jobs_of, ref, spec, stored_count, succeed

from bridge import (
    InvalidContentError,
    InvalidIdError,
    RunRef,
    StreamCapacityExceededError,
    Terminal,
)
from runs import (
    AssistantCatalog,
    AssistantNotFoundError,
    CancelOutcome,
    ContentionError,
    MultitaskStrategy,
    QueueFullError,
    RunConflictError,
    RunFailedError,
    RunInterruptedError,
    RunManager,
    RunNotCancellableError,
    RunNotFoundError,
    RunNotStartableError,
    RunSettings,
    RunsFacade,
    RunSpec,
    RunStatus,
    ThreadExistsError,
    ThreadNotFoundError,
    ThreadStatus,
    UnsupportedActionError,
    UnsupportedOptionError,
    UnsupportedStrategyError,
)
from runs.commands import RequestCancel
from runs.due_runs import DueRuns
from runs.models import CancelAction, now
from runs.sweeper import Sweeper


async def events_of(facade, run):
    async with facade.join_stream(run.thread_id, run.run_id) as following:
        batch = await anext(aiter(following.batches()))
    return [event.event for event in batch if hasattr(event, "event")]


async def test_a_created_run_can_be_followed_and_has_one_job(facade, bridge, thread):
    run = await facade.create_background(spec(thread, input={"a": 1}, metadata={"k": "v"}))
    assert await events_of(facade, run) == ["metadata"]
    assert await jobs_of(bridge) == [run.run_id]
    stored = await facade.get_run(thread, run.run_id)
    assert stored == run
    assert (stored.status, stored.kwargs["input"]) == (RunStatus.PENDING, {"a": 1})
    assert (await facade.get_thread(thread)).status is ThreadStatus.BUSY


async def test_an_assistant_is_found_by_name_and_by_id(facade, thread):
    known = AssistantCatalog().get("echo")
    run = await facade.create_background(RunSpec(thread_id=thread, assistant_id=known.assistant_id))
    assert run.executor == "echo"


async def test_reject_admits_one_of_five_concurrent_creates_over_two_managers(
    make_manager, bridge, thread
):
    managers = [await make_manager() for _ in range(2)]
    wanted = spec(thread, multitask_strategy=MultitaskStrategy.REJECT)
    outcomes = await asyncio.gather(
        *(managers[i % 2].create(wanted) for i in range(5)), return_exceptions=True
    )
    admitted = [each for each in outcomes if not isinstance(each, Exception)]
    refused = [each for each in outcomes if isinstance(each, Exception)]
    assert len(admitted) == 1
    assert all(type(each) is RunConflictError for each in refused)
    assert {each.run_id for each in refused} == {admitted[0].run_id}
    left = [await managers[0].records.find_run(key) for key in await bridge.states.keys("run")]
    assert [run.record.run_id for run in left if run] == [admitted[0].run_id]


async def test_a_thread_that_was_seen_at_rest_has_changed_since_by_another_process(
    facade, make_manager, bridge, thread
):
    first = await facade.create_background(spec(thread))
    await succeed(bridge, facade, first, {"n": 1})
    await facade.join_wait(thread, first.run_id)  # reads the thread at rest
    theirs = await make_manager()
    second = await theirs.create(spec(thread))
    with pytest.raises(RunConflictError):
        await facade.create_background(spec(thread, multitask_strategy=MultitaskStrategy.REJECT))
    third = await facade.create_background(spec(thread))
    state = await theirs.get_thread(thread)
    assert state.inflight_ids == (second.run_id, third.run_id)


async def test_a_thread_that_was_seen_at_rest_has_been_deleted_since(
    facade, make_manager, connect, bridge, thread
):
    first = await facade.create_background(spec(thread))
    await succeed(bridge, facade, first, {"n": 1})
    await facade.join_wait(thread, first.run_id)
    theirs = RunsFacade(await make_manager(delete_wait_s=0.2), await connect())
    assert await theirs.delete_thread(thread)
    before = await stored_count(bridge)
    with pytest.raises(ThreadNotFoundError):
        await facade.create_background(spec(thread))
    assert await stored_count(bridge) == before


async def test_twenty_concurrent_enqueues_over_two_managers_lose_no_run(
    make_manager, bridge, thread
):
    managers = [await make_manager() for _ in range(2)]
    created = await asyncio.gather(*(managers[i % 2].create(spec(thread)) for i in range(20)))
    state = await managers[0].get_thread(thread)
    inflight = [state.active.run_id, *(run.run_id for run in state.queue)]
    assert sorted(inflight) == sorted(run.run_id for run in created)
    assert await jobs_of(bridge) == [state.active.run_id]


async def test_queued_runs_become_active_in_order_as_each_one_ends(facade, manager, bridge, thread):
    first, second, third = [await facade.create_background(spec(thread)) for _ in range(3)]
    assert await jobs_of(bridge) == [first.run_id]
    await bridge.publish_end(first.run_id)
    await facade.settle(thread, first.run_id)
    assert await jobs_of(bridge) == [second.run_id]
    await bridge.publish_end(second.run_id)
    await asyncio.gather(*(facade.settle(thread, second.run_id) for _ in range(4)))
    assert await jobs_of(bridge) == [third.run_id]
    assert (await manager.get_thread(thread)).queue == ()


async def test_a_full_queue_refuses_and_stores_nothing(facade, bridge, thread):
    for _ in range(4):
        await facade.create_background(spec(thread))
    before = await stored_count(bridge)
    with pytest.raises(QueueFullError):
        await facade.create_background(spec(thread))
    assert await stored_count(bridge) == before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"thread_id": "nobody-made-it"}, ThreadNotFoundError),
        ({"thread_id": "not an id"}, InvalidIdError),
        ({"assistant_id": "unknown"}, AssistantNotFoundError),
        ({"multitask_strategy": "overtake"}, UnsupportedStrategyError),
        ({"command": {"goto": "node"}}, UnsupportedOptionError),
        ({"webhook": "http://127.0.0.1/"}, UnsupportedOptionError),
        ({"input": float("nan")}, InvalidContentError),
        ({"input": {"half a pair": "\ud800"}}, InvalidContentError),
        ({"metadata": {"not": object()}}, InvalidContentError),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_stored(facade, bridge, thread, options, error):
    before = await stored_count(bridge)
    with pytest.raises(error):
        await facade.create_background(spec(thread).model_copy(update=options))
    assert await stored_count(bridge) == before
    assert await bridge.states.keys("thread") == [thread]
    assert (await facade.get_thread(thread)).status is ThreadStatus.IDLE


async def test_if_not_exists_create_makes_the_thread(facade):
    run = await facade.create_background(spec("made-now", if_not_exists="create"))
    assert (await facade.get_thread("made-now")).active.run_id == run.run_id


async def test_concurrent_runs_that_create_the_same_thread_share_it(facade):
    wanted = spec("shared", if_not_exists="create")
    created = await asyncio.gather(*(facade.create_background(wanted) for _ in range(4)))
    state = await facade.get_thread("shared")
    assert {state.active.run_id, *(run.run_id for run in state.queue)} == {
        run.run_id for run in created
    }


async def test_a_stateless_run_gets_a_temporary_thread_of_its_own(facade):
    runs = [await facade.create_background(spec(None)) for _ in range(2)]
    assert runs[0].thread_id != runs[1].thread_id
    assert (await facade.get_thread(runs[0].thread_id)).temporary
    assert runs[0].on_completion == "delete"


async def test_a_taken_thread_id_is_refused_or_returned_as_asked(facade):
    made = await facade.create_thread(thread_id="t-1", metadata={"a": 1})
    with pytest.raises(ThreadExistsError):
        await facade.create_thread(thread_id="t-1")
    again = await facade.create_thread(thread_id="t-1", if_exists="do_nothing")
    assert again == made


async def test_another_users_thread_and_run_are_as_if_they_did_not_exist(facade):
    await facade.create_thread(thread_id="hers", user_id="her")
    run = await facade.create_background(spec("hers", user_id="her"))
    for refused in (
        facade.get_thread("hers", user_id="him"),
        facade.thread_state("hers", user_id="him"),
        facade.list_runs("hers", user_id="him"),
        facade.create_background(spec("hers", user_id="him")),
    ):
        with pytest.raises(ThreadNotFoundError):
            await refused
    for refused in (
        facade.get_run("hers", run.run_id, user_id="him"),
        facade.cancel("hers", run.run_id, user_id="him"),
        facade.join_wait("hers", run.run_id, user_id="him"),
    ):
        with pytest.raises(RunNotFoundError):
            await refused
    with pytest.raises(RunNotFoundError):
        async with facade.join_stream("hers", run.run_id, user_id="him"):
            pass
    with pytest.raises(ThreadExistsError):
        await facade.create_thread(thread_id="hers", if_exists="do_nothing", user_id="him")
    assert (await facade.get_run("hers", run.run_id, user_id="her")).run_id == run.run_id


async def test_an_unknown_run_is_not_found_and_nothing_is_created(facade, bridge, thread):
    before = await stored_count(bridge)
    for asking in (
        facade.get_run(thread, "nobody"),
        facade.cancel(thread, "nobody"),
        facade.join_wait(thread, "nobody"),
        facade.settle(thread, "nobody"),
    ):
        with pytest.raises(RunNotFoundError):
            await asking
    with pytest.raises(RunNotFoundError):
        async with facade.join_stream(thread, "nobody"):
            pass
    assert await facade.find_run("nobody") is None
    assert await stored_count(bridge) == before


async def test_a_run_of_another_thread_is_not_found(facade, thread):
    run = await facade.create_background(spec(thread))
    other = (await facade.create_thread()).thread_id
    for asking in (
        facade.get_run(other, run.run_id),
        facade.cancel(other, run.run_id),
        facade.settle(other, run.run_id),
    ):
        with pytest.raises(RunNotFoundError):
            await asking
    with pytest.raises(RunNotFoundError):
        async with facade.join_stream(other, run.run_id):
            pass


async def test_cancel_before_the_first_step_ends_the_run_and_frees_the_thread(
    facade, manager, thread
):
    run = await facade.create_background(spec(thread))
    assert await facade.cancel(thread, run.run_id) is CancelOutcome.STOPPED
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.INTERRUPTED
    assert await events_of(facade, run) == ["metadata", "cancel"]
    assert (await facade.get_thread(thread)).status is ThreadStatus.INTERRUPTED
    with pytest.raises(RunNotStartableError):
        await manager.start(ref(run), "w", 1)


async def test_a_cancelled_queued_run_leaves_the_queue_and_the_others_their_order(
    facade, bridge, thread
):
    first, second, third = [await facade.create_background(spec(thread)) for _ in range(3)]
    assert await facade.cancel(thread, second.run_id) is CancelOutcome.STOPPED
    state = await facade.get_thread(thread)
    assert [run.run_id for run in state.queue] == [third.run_id]
    assert state.active.run_id == first.run_id
    assert state.cancels == {}
    assert await jobs_of(bridge) == [first.run_id]


async def test_a_second_cancel_is_accepted_from_any_gateway(connect, facade, thread):
    run = await facade.create_background(spec(thread))
    await facade.cancel(thread, run.run_id)
    other = await connect()
    elsewhere = RunsFacade(RunManager(other, AssistantCatalog()), other)
    assert await elsewhere.cancel(thread, run.run_id) is CancelOutcome.STOPPED
    assert await facade.cancel(thread, run.run_id) is CancelOutcome.STOPPED


async def test_a_run_that_finished_by_itself_is_not_cancellable(facade, bridge, thread):
    run = await facade.create_background(spec(thread))
    await bridge.publish_end(run.run_id)
    await facade.settle(thread, run.run_id)
    with pytest.raises(RunNotCancellableError):
        await facade.cancel(thread, run.run_id)
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.SUCCESS


async def test_an_unknown_cancel_action_is_refused_and_changes_nothing(facade, thread):
    run = await facade.create_background(spec(thread))
    before = await facade.get_thread(thread)
    with pytest.raises(UnsupportedActionError):
        await facade.cancel(thread, run.run_id, action="undo")
    assert await facade.get_thread(thread) == before


async def test_a_run_whose_log_is_sealed_is_not_cancellable_before_its_record_says_so(
    facade, manager, bridge, thread
):
    run = await facade.create_background(spec(thread))
    await manager.start(ref(run), "w", 1)
    await bridge.publish_end(run.run_id)
    with pytest.raises(RunNotCancellableError):
        await facade.cancel(thread, run.run_id)
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.SUCCESS
    assert (await facade.get_thread(thread)).cancels == {}


async def test_rollback_removes_the_run_and_leaves_the_thread_as_it_was(
    facade, manager, bridge, thread
):
    first = await facade.create_background(spec(thread))
    await succeed(bridge, facade, first, {"kept": 1})
    before = await facade.thread_state(thread)
    run = await facade.create_background(spec(thread))
    await manager.start(ref(run), "w", 1)
    assert await facade.cancel(thread, run.run_id, action="rollback") is CancelOutcome.STOPPING
    assert await facade.cancel(thread, run.run_id, action="interrupt") is CancelOutcome.STOPPING
    waiting = asyncio.create_task(facade.join_wait(thread, run.run_id))
    await bridge.cancel(run.run_id)
    with pytest.raises(RunInterruptedError):
        await waiting
    with pytest.raises(RunNotFoundError):
        await facade.get_run(thread, run.run_id)
    assert [each.run_id for each in await facade.list_runs(thread)] == [first.run_id]
    after = await facade.thread_state(thread)
    assert (after.values, after.thread.status) == (before.values, ThreadStatus.IDLE)
    assert (await bridge.status(run.run_id)).terminal.event == "cancel"


async def test_a_pending_run_is_rolled_back_at_once(facade, thread):
    run = await facade.create_background(spec(thread))
    assert await facade.cancel(thread, run.run_id, action="rollback") is CancelOutcome.STOPPED
    with pytest.raises(RunNotFoundError):
        await facade.get_run(thread, run.run_id)
    assert (await facade.get_thread(thread)).status is ThreadStatus.IDLE


async def test_the_first_cancel_action_wins(facade, manager, bridge, thread):
    run = await facade.create_background(spec(thread))
    await manager.start(ref(run), "w", 1)
    await facade.cancel(thread, run.run_id)
    await facade.cancel(thread, run.run_id, action="rollback")
    await bridge.cancel(run.run_id)
    assert (await facade.settle(thread, run.run_id)).status is RunStatus.INTERRUPTED
    assert await facade.cancel(thread, run.run_id, action="rollback") is CancelOutcome.STOPPED
    assert (await facade.get_run(thread, run.run_id)).status is RunStatus.INTERRUPTED


async def test_a_rollback_that_overtakes_a_success_on_its_way_into_the_thread_counts(
    facade, manager, bridge, thread
):
    run = await facade.create_background(spec(thread))
    await manager.start(ref(run), "w", 1)
    take = manager.reconciler._steps.take

    async def overtaken(thread_id, command, known=None):
        manager.reconciler._steps.take = take
        await take(thread_id, RequestCancel(run.run_id, CancelAction.ROLLBACK, now()))
        return await take(thread_id, command, known)

    manager.reconciler._steps.take = overtaken
    with pytest.raises(RunNotFoundError):
        await succeed(bridge, facade, run, {"late": 1})
    with pytest.raises(RunNotFoundError):
        await facade.get_run(thread, run.run_id)
    state = await facade.thread_state(thread)
    assert (state.values, state.thread.active) == (None, None)


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_a_replacing_run_starts_after_all_others_have_ended(
    facade, manager, bridge, thread, strategy
):
    active, *queued = [await facade.create_background(spec(thread)) for _ in range(4)]
    await manager.start(ref(active), "w", 1)
    new = await facade.create_background(spec(thread, multitask_strategy=strategy))
    state = await facade.get_thread(thread)
    assert (state.active.run_id, state.inflight_ids[1:]) == (active.run_id, (new.run_id,))
    for run in queued:
        assert (await bridge.status(run.run_id)).terminal.event == "cancel"
    with pytest.raises(RunNotStartableError):
        await manager.start(ref(new), "w", 1)
    await bridge.cancel(active.run_id)
    await manager.reconciler.repair(thread)
    assert (await facade.get_thread(thread)).active.run_id == new.run_id
    left = {run.run_id: run.status for run in await facade.list_runs(thread)}
    gone = {run.run_id: RunStatus.INTERRUPTED for run in (active, *queued)}
    kept = gone if strategy == "interrupt" else {}
    assert left == {new.run_id: RunStatus.PENDING, **kept}
    assert await jobs_of(bridge) == [active.run_id, new.run_id]


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
async def test_concurrent_replacing_runs_over_two_managers_leave_one(
    make_manager, facade, bridge, thread, strategy
):
    managers = [await make_manager() for _ in range(2)]
    wanted = spec(thread, multitask_strategy=strategy)
    runs = await asyncio.gather(*(managers[n % 2].create(wanted) for n in range(10)))
    await managers[0].reconciler.repair(thread)
    state = await facade.get_thread(thread)
    assert len(state.inflight_ids) == 1
    sealed = [run for run in runs if run.run_id not in state.inflight_ids]
    for run in sealed:
        assert (await bridge.status(run.run_id)).terminal.event == "cancel"
    assert set(await jobs_of(bridge)) >= set(state.inflight_ids)


async def test_a_late_success_does_not_overwrite_interrupted(facade, manager, bridge, thread):
    run = await facade.create_background(spec(thread))
    await manager.start(ref(run), "w", 1)
    assert await facade.cancel(thread, run.run_id) is CancelOutcome.STOPPING
    await bridge.cancel(run.run_id)
    await bridge.publish_end(run.run_id)
    settled = await facade.settle(thread, run.run_id)
    assert settled.status is RunStatus.INTERRUPTED
    with pytest.raises(RunInterruptedError):
        await facade.join_wait(thread, run.run_id)


async def test_waiting_returns_the_final_values_and_they_become_the_threads(facade, bridge, thread):
    run = await facade.create_background(spec(thread))
    waiting = asyncio.create_task(facade.join_wait(thread, run.run_id))
    values = {"answer": [1, 2, "\u2028"]}
    outputs = await bridge.publish(run.run_id, "values", values, category="outputs")
    data = {"status": "success", "outputs": outputs, "error": None}
    await bridge.publish_terminal(run.run_id, Terminal.ENDED, data)
    assert await waiting == values
    assert await facade.join_wait(thread, run.run_id) == values
    state = await facade.thread_state(thread)
    assert (state.values, state.event_id) == (values, outputs)
    assert state.thread.status is ThreadStatus.IDLE


async def test_waiting_for_a_failed_run_raises_its_error(facade, bridge, thread):
    run = await facade.create_background(spec(thread))
    data = {"status": "error", "outputs": None, "error": {"error": "KeyError", "message": "'a'"}}
    await bridge.publish(run.run_id, "values", {"half": "done"}, category="outputs")
    await bridge.publish_terminal(run.run_id, Terminal.ERRORED, data)
    with pytest.raises(RunFailedError) as caught:
        await facade.join_wait(thread, run.run_id)
    assert (caught.value.error, caught.value.message) == ("KeyError", "'a'")
    assert (await facade.thread_state(thread)).values is None
    assert (await facade.get_thread(thread)).status is ThreadStatus.ERROR


async def test_a_new_thread_has_no_values(facade, thread):
    assert (await facade.thread_state(thread)).values is None


async def test_runs_are_listed_newest_first_and_by_status(facade, thread):
    runs = [await facade.create_background(spec(thread)) for _ in range(4)]
    await facade.cancel(thread, runs[1].run_id)
    ids = [run.run_id for run in reversed(runs)]
    assert [run.run_id for run in await facade.list_runs(thread)] == ids
    page = await facade.list_runs(thread, limit=2, offset=1)
    assert [run.run_id for run in page] == ids[1:3]
    assert await facade.list_runs(thread, limit=0) == []
    cancelled = await facade.list_runs(thread, status=RunStatus.INTERRUPTED)
    assert [run.run_id for run in cancelled] == [runs[1].run_id]


async def test_a_log_without_room_leaves_the_thread_free(facade, manager, bridge, thread):
    async def no_room(*_, **__):
        raise StreamCapacityExceededError("bytes")

    create, bridge.create = bridge.create, no_room
    with pytest.raises(StreamCapacityExceededError):
        await facade.create_background(spec(thread))
    bridge.create = create
    assert (await manager.get_thread(thread)).active is None
    for run_id in await bridge.states.keys("run"):
        assert await manager.records.find_run(run_id) is None
    await facade.create_background(spec(thread, multitask_strategy=MultitaskStrategy.REJECT))


async def test_a_run_whose_rival_cannot_be_stopped_at_once_is_let_in_all_the_same(
    facade, manager, bridge, thread, monkeypatch
):
    async def is_contended(*_, **__):
        raise ContentionError("the record", 16)

    rival = await facade.create_background(spec(thread))
    monkeypatch.setattr(manager.reconciler, "_close_record", is_contended)
    run = await facade.create_background(spec(thread, multitask_strategy="interrupt"))
    assert await bridge.find_thread(run.run_id) == thread
    monkeypatch.undo()
    await manager.reconciler.repair(thread)
    assert (await facade.get_run(thread, rival.run_id)).status is RunStatus.INTERRUPTED
    assert (await facade.get_thread(thread)).active.run_id == run.run_id
    assert await jobs_of(bridge) == [rival.run_id, run.run_id]
    await succeed(bridge, facade, run, {"n": 1})
    assert await facade.join_wait(thread, run.run_id) == {"n": 1}


async def create_and_die(manager, bridge, thread, *, before):
    target, name = {"birth": (bridge, "create"), "job": (bridge.jobs, "put")}[before]
    original = getattr(target, name)
    setattr(target, name, die)
    with pytest.raises(ProcessDiedError):
        await manager.create(spec(thread))
    setattr(target, name, original)
    return (await manager.get_thread(thread)).active


@pytest.mark.parametrize("before", ["birth", "job"])
async def test_a_creator_that_dies_half_way_is_made_good_by_the_sweep(
    manager, bridge, thread, before
):
    active = await create_and_die(manager, bridge, thread, before=before)
    await Sweeper(manager.records, manager.reconciler, stale_s=1).sweep_all()
    assert await jobs_of(bridge) == [active.run_id]
    assert (await bridge.status(active.run_id)).event_count == 1


async def test_a_sweeper_repairs_what_is_left_undone_for_a_while_and_only_once(
    facade, manager, bridge, thread, monkeypatch
):
    repaired = []
    repair = manager.reconciler.repair

    async def spy(thread_id):
        repaired.append(thread_id)
        await repair(thread_id)

    monkeypatch.setattr(manager.reconciler, "repair", spy)
    sweeper = Sweeper(manager.records, manager.reconciler, stale_s=1)
    await sweeper.sweep_all()
    ended = await facade.create_background(spec((await facade.create_thread()).thread_id))
    active = await create_and_die(manager, bridge, thread, before="job")
    await sweeper.sweep()
    await facade.cancel(ended.thread_id, ended.run_id)
    assert repaired == []
    for _ in range(3):
        await sweeper.sweep()
    assert repaired == [thread]
    assert active.run_id in await jobs_of(bridge)


async def test_following_a_run_whose_birth_is_missing_finishes_the_birth(
    facade, manager, bridge, thread
):
    active = await create_and_die(manager, bridge, thread, before="birth")
    run = await facade.get_run(thread, active.run_id)
    assert await events_of(facade, run) == ["metadata"]


async def test_the_next_create_brings_a_stale_run_up(manager, bridge, thread):
    active = await create_and_die(manager, bridge, thread, before="job")
    impatient = RunManager(bridge, AssistantCatalog(), RunSettings(stale_s=1e-9))
    await impatient.create(spec(thread))
    assert await jobs_of(bridge) == [active.run_id]


async def test_a_cancelled_run_whose_birth_is_missing_still_ends(facade, manager, bridge, thread):
    active = await create_and_die(manager, bridge, thread, before="birth")
    assert await facade.cancel(thread, active.run_id) is CancelOutcome.STOPPED
    run = await facade.get_run(thread, active.run_id)
    assert run.status is RunStatus.INTERRUPTED


async def test_an_old_record_that_no_thread_refers_to_is_removed(manager, thread):
    await manager.create(spec(thread))
    run = await manager.create(spec(thread))
    old = run.model_copy(update={"run_id": "orphan", "created_at": now() - timedelta(hours=1)})
    young = run.model_copy(update={"run_id": "young"})
    for each in (old, young):
        await manager.records.create_run(each)
    with pytest.raises(RunNotFoundError):
        await manager.settle(RunRef(thread, "orphan"))
    assert await manager.records.find_run("orphan") is None
    assert (await manager.settle(RunRef(thread, "young"))).status is RunStatus.PENDING


async def test_a_run_whose_time_has_come_waits_while_its_thread_cannot_be_read(
    facade, manager, bridge, thread, caplog, eventually
):
    run = await facade.create_background(spec(thread, after_seconds=0.01))
    kept = await bridge.states.find("thread", thread)
    spoilt = await bridge.states.update("thread", thread, b"{}", revision=kept.revision)
    serving = asyncio.create_task(DueRuns(bridge.timers, manager).serve(0.2))
    await eventually(lambda: "run.not_begun" in caplog.messages)
    await bridge.states.update("thread", thread, kept.value, revision=spoilt)

    async def is_active():
        return (await facade.get_thread(thread)).find_active(run.run_id)

    await eventually(is_active)
    serving.cancel()
    await asyncio.wait([serving])


async def test_settling_twice_from_two_processes_releases_the_next_run_once(
    make_manager, facade, bridge, thread
):
    first, second = [await facade.create_background(spec(thread)) for _ in range(2)]
    await bridge.publish_end(first.run_id)
    elsewhere = await make_manager()
    settled = await asyncio.gather(
        facade.settle(thread, first.run_id), elsewhere.settle(ref(first))
    )
    assert {run.status for run in settled} == {RunStatus.SUCCESS}
    assert await jobs_of(bridge) == [first.run_id, second.run_id]


async def test_a_new_thread_that_changed_elsewhere_meanwhile_is_decided_on_as_it_is(
    facade, manager, make_manager, bridge
):
    elsewhere = await make_manager()
    busy, deleted = [(await facade.create_thread()).thread_id for _ in range(2)]
    active = await elsewhere.create(spec(busy))
    await elsewhere.deletion.delete_thread(deleted)
    with pytest.raises(RunConflictError, match=active.run_id):
        await manager.create(spec(busy, multitask_strategy=MultitaskStrategy.REJECT))
    with pytest.raises(ThreadNotFoundError):
        await manager.create(spec(deleted))
    kept = [await manager.records.find_run(run_id) for run_id in await bridge.states.keys("run")]
    assert [each.record.run_id for each in kept if each is not None] == [active.run_id]


async def test_a_new_thread_of_somebody_else_lets_no_run_in(manager):
    thread = await manager.create_thread(user_id="alice")
    with pytest.raises(ThreadNotFoundError):
        await manager.create(spec(thread.thread_id, user_id="bob"))
    assert await manager.create(spec(thread.thread_id, user_id="alice"))


async def test_a_run_that_loses_the_race_into_its_thread_leaves_nothing(
    facade, manager, make_manager, bridge
):
    thread = (await facade.create_thread()).thread_id
    first = await (await make_manager()).create(spec(thread))
    with pytest.raises(RunConflictError):  # which the commit finds out
        await manager.create(spec(thread, multitask_strategy=MultitaskStrategy.REJECT))
    refused = set(await bridge.states.keys("run")) - {first.run_id}
    assert [await bridge.find_thread(run_id) for run_id in refused] == [None]
    assert [await manager.records.find_run(run_id) for run_id in refused] == [None]
