"""Runs and threads are deleted for good, whatever state they are in and whoever dies meanwhile."""

import asyncio

import pytest
from running import ProcessDiedError, die, spec, succeed

from bridge import (
    BridgeError,
    RunRef,
    StreamNotFoundError,
    StreamTerminatedError,
)
from runs import (
    AssistantCatalog,
    RunManager,
    RunNotFoundError,
    RunStatus,
    ThreadExistsError,
    ThreadNotFoundError,
    ThreadStatus,
)


async def assert_gone(facade, bridge, run):
    with pytest.raises(RunNotFoundError):
        await facade.get_run(run.thread_id, run.run_id)
    with pytest.raises(StreamNotFoundError):
        await bridge.status(run.run_id)
    with pytest.raises((StreamNotFoundError, StreamTerminatedError)):
        await bridge.publish(run.run_id, "late", 1)
    with pytest.raises(StreamTerminatedError):
        await bridge.create(run.run_id, thread_id=run.thread_id)


async def test_a_finished_run_is_deleted_with_its_values(facade, bridge, thread):
    run = await facade.create_background(spec(thread))
    await succeed(bridge, facade, run, {"a": 1})
    assert await facade.delete_run(thread, run.run_id)
    await assert_gone(facade, bridge, run)
    assert await facade.list_runs(thread) == []
    state = await facade.thread_state(thread)
    assert (state.values, state.thread.status) == (None, ThreadStatus.IDLE)
    assert not await facade.delete_run(thread, run.run_id)


@pytest.mark.parametrize("state", ["pending", "running", "queued"])
async def test_a_run_under_way_is_stopped_and_deleted_and_the_thread_goes_on(
    facade, manager, bridge, thread, state
):
    before = await facade.create_background(spec(thread)) if state == "queued" else None
    run = await facade.create_background(spec(thread))
    after = await facade.create_background(spec(thread))
    if state == "running":  # by a worker that does not answer
        await manager.start(RunRef(thread, run.run_id), "w", 1)
    assert await facade.delete_run(thread, run.run_id)
    await assert_gone(facade, bridge, run)
    inflight = (await facade.get_thread(thread)).inflight_ids
    assert inflight == (*([before.run_id] if before else []), after.run_id)


async def test_a_run_of_another_thread_or_user_is_not_deleted(facade, bridge, thread):
    await facade.create_thread(thread_id="hers", user_id="her")
    run = await facade.create_background(spec("hers", user_id="her"))
    assert not await facade.delete_run(thread, run.run_id)
    assert not await facade.delete_run("hers", run.run_id, user_id="him")
    assert not await facade.delete_thread("hers", user_id="him")
    assert not await facade.delete_thread("nobody-made-it")
    assert (await bridge.status(run.run_id)).event_count == 1


async def test_a_thread_is_deleted_with_all_its_runs_and_its_id_stays_taken(
    facade, manager, bridge, thread
):
    ended = await facade.create_background(spec(thread))
    await succeed(bridge, facade, ended, 1)
    rolled_back = await facade.create_background(spec(thread))
    await facade.cancel(thread, rolled_back.run_id, action="rollback")
    running, queued = [await facade.create_background(spec(thread)) for _ in range(2)]
    await manager.start(RunRef(thread, running.run_id), "w", 1)
    assert await facade.delete_thread(thread)
    for run in (ended, rolled_back, running, queued):
        await assert_gone(facade, bridge, run)
    with pytest.raises(ThreadNotFoundError):
        await facade.get_thread(thread)
    with pytest.raises(ThreadExistsError):
        await facade.create_thread(thread_id=thread, if_exists="do_nothing")
    for option in ("reject", "create"):
        with pytest.raises(ThreadNotFoundError):
            await facade.create_background(spec(thread, if_not_exists=option))
    assert not await facade.delete_thread(thread)


async def test_a_thread_lets_nothing_in_while_it_is_deleted(facade, manager, bridge, thread):
    run = await facade.create_background(spec(thread))
    await manager.start(RunRef(thread, run.run_id), "w", 1)
    deleting = asyncio.create_task(facade.delete_thread(thread))
    outcomes = []
    while not deleting.done():
        try:
            outcomes.append(await facade.create_background(spec(thread)))
        except ThreadNotFoundError as refused:
            outcomes.append(refused)
        await asyncio.sleep(0)
    assert await deleting
    assert isinstance(outcomes[-1], ThreadNotFoundError)
    for admitted in (each for each in outcomes if not isinstance(each, ThreadNotFoundError)):
        await assert_gone(facade, bridge, admitted)


DELETER_WRITES = ["seal", "cleanup", "remove_run", "remove_thread"]


@pytest.fixture
def delete_and_die(manager, bridge, monkeypatch):
    """Die before a write of a deletion: ``await delete_and_die("cleanup", deletion)``."""

    async def delete(write, deletion):
        targets = {"seal": manager.reconciler, "cleanup": bridge}
        with monkeypatch.context() as patch:
            patch.setattr(targets.get(write, manager.records), write, die)
            with pytest.raises(ProcessDiedError):
                await deletion

    return delete


@pytest.mark.parametrize("write", DELETER_WRITES[:3])
async def test_a_run_whose_deleter_died_is_deleted_by_the_repeat(
    facade, manager, bridge, delete_and_die, write
):
    run = await facade.create_background(spec("t", if_not_exists="create"))
    await manager.start(RunRef("t", run.run_id), "w", 1)
    await delete_and_die(write, facade.delete_run("t", run.run_id))
    assert await facade.delete_run("t", run.run_id)
    await assert_gone(facade, bridge, run)
    assert (await facade.get_thread("t")).active is None


@pytest.mark.parametrize("write", DELETER_WRITES)
async def test_a_thread_whose_deleter_died_is_removed_by_a_worker(
    facade, bridge, working, eventually, delete_and_die, write
):
    manager = RunManager(bridge, AssistantCatalog())
    runs = [await facade.create_background(spec("t", if_not_exists="create")) for _ in range(2)]
    await manager.start(RunRef("t", runs[0].run_id), "w", 1)
    await delete_and_die(write, facade.delete_thread("t"))
    with pytest.raises(ThreadNotFoundError):
        await facade.get_thread("t")
    async with working(delete_wait_s=0.1):
        await eventually(lambda: is_removed(manager, "t"), within_s=15)
    for run in runs:
        await assert_gone(facade, bridge, run)


async def is_removed(manager, thread_id):
    return await manager.records.find_thread(thread_id) is None


async def test_the_thread_of_a_stateless_run_is_removed_when_its_time_has_come(
    facade, manager, bridge, working, eventually
):
    async with working(temporary_ttl_s=0.5):
        run = await facade.create_background(spec(None, input={"a": 1}))
        assert await facade.join_wait(run.thread_id, run.run_id) == {"a": 1}
        assert (await facade.get_run(run.thread_id, run.run_id)).status is RunStatus.SUCCESS
        await eventually(lambda: is_removed(manager, run.thread_id), within_s=10)
    await assert_gone(facade, bridge, run)


async def test_a_stateless_run_that_shall_be_kept_is_kept(facade, manager, working, eventually):
    async with working(temporary_ttl_s=0):
        kept = await facade.create_background(spec(None, on_completion="keep"))
        dropped = await facade.create_background(spec(None))
        await facade.join_wait(kept.thread_id, kept.run_id)
        await eventually(lambda: is_removed(manager, dropped.thread_id), within_s=10)
    assert (await facade.get_run(kept.thread_id, kept.run_id)).status is RunStatus.SUCCESS


async def test_a_failed_removal_is_tried_again(
    facade, manager, working, eventually, delete_and_die, monkeypatch
):
    attempts = []
    find_thread = type(manager.records).find_thread

    async def fail_first(self, thread_id):
        if thread_id == "t" and len(attempts) < 2:
            attempts.append(thread_id)
            raise BridgeError("as asked")
        return await find_thread(self, thread_id)

    await facade.create_thread(thread_id="t")
    await delete_and_die("remove_thread", facade.delete_thread("t"))
    monkeypatch.setattr("runs.retirement._RETRY_S", 0.05)
    monkeypatch.setattr(type(manager.records), "find_thread", fail_first)
    async with working(delete_wait_s=0.1):
        await eventually(lambda: is_removed(manager, "t") if len(attempts) == 2 else False)
