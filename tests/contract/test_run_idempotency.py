"""A create that is repeated with its key makes no second run, whoever repeats it and when."""

import asyncio

import pytest
from running import ProcessDiedError, die

from bridge import InvalidContentError
from runs import (
    IdempotencyKeyUsedError,
    RunConflictError,
    RunSpec,
    RunStatus,
)


def keyed(thread, key="k", **options):
    return RunSpec(thread_id=thread, assistant_id="echo", idempotency_key=key, **options)


async def finish(bridge, facade, run):
    await bridge.publish_end(run.run_id)
    await facade.settle(run.thread_id, run.run_id)


@pytest.mark.parametrize("strategy", ["reject", "enqueue", "interrupt"])
async def test_concurrent_repeats_from_four_processes_make_one_run(make_manager, thread, strategy):
    managers = [await make_manager() for _ in range(4)]
    wanted = keyed(thread, multitask_strategy=strategy)
    made = await asyncio.gather(*(managers[n % 4].create(wanted) for n in range(12)))
    assert len({run.run_id for run in made}) == 1
    state = await managers[0].get_thread(thread)
    assert state.inflight_ids == (made[0].run_id,)
    assert state.cancels == {}


async def test_concurrent_repeats_of_a_stateless_create_share_its_thread(make_manager):
    managers = [await make_manager() for _ in range(2)]
    made = await asyncio.gather(*(managers[n % 2].create(keyed(None)) for n in range(6)))
    assert len({(run.thread_id, run.run_id) for run in made}) == 1


async def test_a_repeat_after_the_end_returns_the_finished_run(bridge, facade, thread):
    first = await facade.create_background(keyed(thread))
    await finish(bridge, facade, first)
    again = await facade.create_background(keyed(thread))
    assert (again.run_id, again.status) == (first.run_id, RunStatus.SUCCESS)
    assert (await facade.get_thread(thread)).active is None


async def test_keys_belong_to_a_thread_and_a_user(facade):
    made = []
    for name, user in (("a", None), ("b", None), ("hers", "her")):
        await facade.create_thread(thread_id=name, user_id=user)
        made.append(await facade.create_background(keyed(name, user_id=user)))
    made += [await facade.create_background(keyed(None, user_id=user)) for user in ("him", "her")]
    made.append(await facade.create_background(keyed("a", key="other")))
    assert len({run.run_id for run in made}) == 6


async def test_a_key_does_not_stand_for_another_request(facade, thread):
    await facade.create_background(keyed(thread, input=1))
    with pytest.raises(IdempotencyKeyUsedError, match="another request"):
        await facade.create_background(keyed(thread, input=2))


async def test_a_refused_create_may_be_repeated_until_it_is_admitted(bridge, facade, thread):
    other = await facade.create_background(RunSpec(thread_id=thread, assistant_id="echo"))
    for _ in range(2):
        with pytest.raises(RunConflictError):
            await facade.create_background(keyed(thread, multitask_strategy="reject"))
    await finish(bridge, facade, other)
    run = await facade.create_background(keyed(thread, multitask_strategy="reject"))
    assert (await facade.get_thread(thread)).active.run_id == run.run_id


async def test_a_key_whose_run_was_rolled_back_does_not_run_it_again(facade, thread):
    run = await facade.create_background(keyed(thread))
    await facade.cancel(thread, run.run_id, action="rollback")
    with pytest.raises(IdempotencyKeyUsedError, match="removed"):
        await facade.create_background(keyed(thread))


async def test_bad_input_uses_no_key_up(bridge, facade, thread):
    with pytest.raises(InvalidContentError):
        await facade.create_background(keyed(thread, input=float("nan")))
    assert await bridge.states.keys("key") == []


WRITES = ["states.create", "records.create_run", "records.write_thread", "create", "jobs.put"]


@pytest.mark.parametrize("write", WRITES)
async def test_a_creator_that_died_at_any_write_is_made_good_by_the_repeat(
    bridge, manager, facade, monkeypatch, write
):
    thread = (await facade.create_thread()).thread_id
    where, _, name = write.rpartition(".")
    targets = {"states": bridge.states, "records": manager.records, "jobs": bridge.jobs}
    with monkeypatch.context() as patch:
        patch.setattr(targets.get(where, bridge), name, die)
        with pytest.raises(ProcessDiedError):
            await manager.create(keyed(thread))
    run = await manager.create(keyed(thread))
    assert (await manager.get_thread(thread)).active.run_id == run.run_id
    assert (await bridge.status(run.run_id)).event_count == 1
    consumer = await bridge.jobs.consumer("echo", lease_s=30)
    assert [job.run_id for job in await consumer.fetch(1, wait_s=1)] == [run.run_id]
    assert len(await facade.list_runs(thread)) == 1
    await consumer.close()
