"""Ended runs and threads at rest leave by age and count; what is alive stays; on both managers."""

import asyncio
from datetime import timedelta

import pytest

from bridge import StreamNotFoundError, Terminal
from runs import (
    AssistantNotFoundError,
    CancelOutcome,
    Expiry,
    ExpirySettings,
    ReadModel,
    RunQuery,
    RunsFacade,
    RunSpec,
    ThreadNotFoundError,
    ThreadQuery,
)
from runs.models import now
from runs.read_model.queries import ThreadLimits
from runs.time_to_live import TimeToLive


@pytest.fixture
async def model(bridge):
    opened = ReadModel(bridge.state_feed)
    yield opened
    await opened.close()


@pytest.fixture
def facade(manager, bridge, model):
    return RunsFacade(manager, bridge, model)


@pytest.fixture
def expiry(manager, model):
    """Make what deletes: ``expiry(max_ended_runs=3)``."""

    def make(trim=None, **limits):
        return Expiry(model, manager, ExpirySettings(**limits), trim)

    return make


@pytest.fixture
def finished(facade, bridge):
    """Make a run that has ended: ``await finished(thread_id, values=1)``."""

    async def finish(thread_id, values=None):
        run = await facade.create_background(RunSpec(thread_id=thread_id, assistant_id="echo"))
        outputs = None
        if values is not None:
            outputs = await bridge.publish(run.run_id, "values", values, category="outputs")
        data = {"status": "success", "outputs": outputs, "error": None}
        await bridge.publish_terminal(run.run_id, Terminal.ENDED, data)
        return (await facade.settle(run.thread_id, run.run_id)).run_id

    return finish


async def left(facade):
    return {run.run_id for run in (await facade.search_runs(RunQuery(), limit=100)).runs}


async def threads_left(facade):
    found = await facade.search_threads(ThreadQuery(), limit=100)
    return {thread.thread_id for thread in found.threads}


async def test_without_a_limit_nothing_expires(facade, expiry, finished, thread):
    run = await finished(thread)
    assert await expiry().step() == 0
    async with expiry().going_on():
        await asyncio.sleep(0)
    assert await left(facade) == {run}


async def test_the_runs_that_ended_first_leave_beyond_the_number_kept(
    facade, bridge, expiry, finished, thread
):
    runs = [await finished(thread) for _ in range(5)]
    assert await expiry(max_ended_runs=2).step() == 3
    assert await left(facade) == set(runs[3:])
    with pytest.raises(StreamNotFoundError):
        await bridge.status(runs[0])
    assert await expiry(max_ended_runs=2).step() == 0


async def test_runs_leave_when_they_are_old_enough(facade, expiry, finished, thread, eventually):
    await finished(thread)
    assert await expiry(ended_run_ttl_s=3600).step() == 0
    async with expiry(ended_run_ttl_s=0.01, interval_s=0.02).going_on():

        async def is_empty():
            return await left(facade) == set()

        await eventually(is_empty)


async def test_a_run_whose_values_are_the_threads_stays(facade, expiry, finished, thread):
    first = await finished(thread, values={"n": 1})
    later = await finished(thread)
    assert await expiry(max_ended_runs=0).step() == 1
    assert await left(facade) == {first}
    assert (await facade.thread_state(thread)).values == {"n": 1}
    newer = await finished(thread, values={"n": 2})
    assert await expiry(max_ended_runs=0).step() == 1
    assert await left(facade) == {newer}
    assert later not in await left(facade)


async def test_a_step_deletes_no_more_than_it_may(facade, expiry, finished, thread):
    for _ in range(5):
        await finished(thread)
    assert await expiry(max_ended_runs=0, max_per_step=2).step() == 2
    assert len(await left(facade)) == 3


async def test_what_is_under_way_never_expires(facade, bridge, expiry, thread):
    spec = RunSpec(thread_id=thread, assistant_id="echo")
    active, queued = [(await facade.create_background(spec)).run_id for _ in range(2)]
    limits = {"ended_run_ttl_s": 1e-6, "idle_thread_ttl_s": 1e-6, "max_threads": 0}
    assert await expiry(**limits, max_ended_runs=0).step() == 0
    assert await left(facade) == {active, queued}
    assert (await bridge.status(active)).event_count == 1


async def test_idle_threads_leave_with_their_runs_the_longest_at_rest_first(
    facade, expiry, finished
):
    names = [(await facade.create_thread()).thread_id for _ in range(4)]
    for name in names:
        await finished(name, values=name)
    await facade.update_thread(names[0], {"touched": True})
    assert await expiry(max_threads=2).step() == 2
    assert await threads_left(facade) == {names[0], names[3]}
    assert len(await left(facade)) == 2
    with pytest.raises(ThreadNotFoundError):
        await facade.get_thread(names[1])
    assert await expiry(idle_thread_ttl_s=3600).step() == 0
    assert await expiry(idle_thread_ttl_s=1e-6).step() == 2


SHORT, LONG = TimeToLive(ttl_s=1e-6), TimeToLive(ttl_s=3600)
HISTORY = TimeToLive(ttl_s=1e-6, strategy="keep_latest")


async def test_a_time_of_its_own_goes_before_that_of_the_deployment(facade, expiry, finished):
    short, long, plain = [
        (await facade.create_thread(ttl=ttl)).thread_id for ttl in (SHORT, LONG, None)
    ]
    run = await finished(short, values=1)
    assert await expiry().step() == 1
    assert await threads_left(facade) == {long, plain}
    assert run not in await left(facade)
    assert await expiry(idle_thread_ttl_s=1e-6).step() == 1
    assert await threads_left(facade) == {long}
    assert await expiry(max_threads=0).step() == 1


async def test_a_time_is_set_later_and_begins_anew_with_each_change(facade, expiry, thread):
    await facade.update_thread(thread, {}, ttl=LONG)
    before = (await facade.get_thread(thread)).expires_at
    await facade.update_thread(thread, {"a": 1})
    assert (await facade.get_thread(thread)).expires_at > before
    assert await expiry().step() == 0
    await facade.update_thread(thread, {}, ttl=SHORT)
    run = await facade.create_background(RunSpec(thread_id=thread, assistant_id="echo"))
    assert await expiry().step() == 0  # it is busy
    await facade.cancel(thread, run.run_id)
    assert await expiry().step() == 1


@pytest.mark.parametrize("is_own", [True, False])
async def test_a_history_leaves_once_and_again_when_there_is_a_new_one(
    facade, expiry, thread, is_own
):
    trimmed = []

    async def trim(record):
        trimmed.append(record.thread_id)

    limits = {} if is_own else {"idle_thread_ttl_s": 1e-6, "idle_thread_strategy": "keep_latest"}
    if is_own:
        await facade.update_thread(thread, {}, ttl=HISTORY)
    trimming = expiry(trim, **limits)
    unchanged = (await facade.get_thread(thread)).updated_at
    assert [await trimming.step() for _ in range(2)] == [1, 0]
    assert (await facade.get_thread(thread)).updated_at == unchanged
    await facade.update_thread(thread, {"a": 1})
    assert [await trimming.step() for _ in range(2)] == [1, 0]
    assert trimmed == [thread, thread]


async def test_a_history_that_cannot_be_removed_now_is_tried_again(facade, expiry, thread):
    async def fail(_):
        raise ThreadNotFoundError(thread)

    await facade.update_thread(thread, {}, ttl=HISTORY)
    assert await expiry(fail).step() == 0
    assert await expiry().step() == 1


async def test_histories_that_cannot_be_removed_do_not_keep_others_from_it(facade, expiry):
    stuck, other = [(await facade.create_thread(ttl=HISTORY)).thread_id for _ in range(2)]
    tried = []

    async def trim(record):
        tried.append(record.thread_id)
        if record.thread_id == stuck:
            raise AssistantNotFoundError("gone")

    trimming = expiry(trim, max_per_step=1)
    assert [await trimming.step() for _ in range(4)] == [0, 1, 0, 0]
    assert tried == [stuck, other, stuck, stuck]


async def test_a_run_that_comes_in_the_same_moment_keeps_its_thread(
    facade, model, expiry, thread, monkeypatch
):
    found = await model.expired_threads(ThreadLimits(ttl_s=1e-6), limit=10)
    assert [each.thread_id for each in found] == [thread]

    async def as_it_was(*_, **__):
        return found

    monkeypatch.setattr(model, "expired_threads", as_it_was)
    run = await facade.create_background(RunSpec(thread_id=thread, assistant_id="echo"))
    assert await expiry(idle_thread_ttl_s=1e-6).step() == 0
    assert await facade.cancel(thread, run.run_id) is CancelOutcome.STOPPED
    assert await expiry(idle_thread_ttl_s=1e-6).step() == 0  # it has changed since
    assert (await facade.get_thread(thread)).last.run_id == run.run_id


async def test_values_that_came_after_the_look_are_kept(
    facade, model, expiry, finished, thread, monkeypatch
):
    run = await finished(thread, values=1)
    expired = [each._replace(id=run) for each in await seen_as_expired(model, thread)]

    async def as_it_was(**_):
        return expired

    monkeypatch.setattr(model, "expired_runs", as_it_was)
    assert await expiry(max_ended_runs=0).step() == 0
    assert (await facade.thread_state(thread)).values == 1


async def seen_as_expired(model, thread):
    found = await model.expired_threads(ThreadLimits(max_threads=0), limit=1)
    assert [each.thread_id for each in found] == [thread]
    assert found[0].since <= now() + timedelta(seconds=1)
    return found
