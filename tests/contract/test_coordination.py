"""What stands beside the log: records, jobs, nudges, roll calls and leases, on both bridges."""

import asyncio

import pytest

from bridge import (
    AlreadyQueuedError,
    ConsumerDriftError,
    EventTooLargeError,
    InvalidIdError,
    StateConflictError,
    StreamNotFoundError,
)


async def test_a_record_is_created_once_and_changed_by_those_who_know_it(bridge, connect):
    other = await connect()
    first = await bridge.states.create("kind", "a", b"1")
    with pytest.raises(StateConflictError):
        await other.states.create("kind", "a", b"2")
    second = await other.states.update("kind", "a", b"2", revision=first)
    with pytest.raises(StateConflictError):
        await bridge.states.update("kind", "a", b"3", revision=first)
    found = await bridge.states.find("kind", "a")
    assert (found.key, found.value, found.revision) == ("a", b"2", second)
    assert await bridge.states.find("another", "a") is None


async def test_racing_updates_have_one_winner(bridge, connect):
    others = [await connect() for _ in range(3)]
    revision = await bridge.states.create("kind", "a", b"0")
    outcomes = await asyncio.gather(
        *(each.states.update("kind", "a", b"1", revision=revision) for each in others),
        return_exceptions=True,
    )
    assert sorted(isinstance(each, StateConflictError) for each in outcomes) == [False, True, True]


async def test_a_deleted_record_cannot_come_back(bridge):
    revision = await bridge.states.create("kind", "a", b"1")
    await bridge.states.delete("kind", "a", revision=revision)
    assert await bridge.states.find("kind", "a") is None
    assert await bridge.states.is_deleted("kind", "a")
    assert not await bridge.states.is_deleted("kind", "never")
    with pytest.raises(StateConflictError):
        await bridge.states.create("kind", "a", b"2")
    with pytest.raises(StateConflictError):
        await bridge.states.update("kind", "a", b"2", revision=revision)
    assert await bridge.states.keys("kind") == ["a"]


async def test_changes_are_read_oldest_first_and_each_record_once(bridge):
    revisions = {key: await bridge.states.create("kind", key, b"1") for key in "abc"}
    await bridge.states.create("another", "a", b"1")
    revisions["a"] = await bridge.states.update("kind", "a", b"2", revision=revisions["a"])
    await bridge.states.delete("kind", "c", revision=revisions["c"])
    changes, reached = await bridge.states.changed("kind", after=0)
    assert [(each.key, each.value) for each in changes] == [("b", b"1"), ("a", b"2")]
    assert await bridge.states.changed("kind", after=reached) == ([], reached)
    await bridge.states.create("kind", "d", b"1")
    changes, newer = await bridge.states.changed("kind", after=reached)
    assert [each.key for each in changes] == ["d"]
    assert newer > reached


async def test_the_feed_tells_changes_of_all_kinds_in_order_and_what_was_deleted(bridge, connect):
    other = await connect()
    assert (await bridge.state_feed.newest()).seq == 0
    revisions = {key: await bridge.states.create("kind", key, b"1") for key in "ab"}
    third = await other.states.create("another", "a", b"2")
    await other.states.delete("kind", "a", revision=revisions["a"])
    newest = await bridge.state_feed.newest()
    assert newest == await other.state_feed.newest()
    changes = await bridge.state_feed.read(0)
    assert [(each.kind, each.key, each.value) for each in changes] == [
        ("kind", "b", b"1"),
        ("another", "a", b"2"),
        ("kind", "a", None),
    ]
    assert changes[-1].revision == newest.seq
    assert [each.key for each in await bridge.state_feed.read(third)] == ["a"]
    assert list(await bridge.state_feed.read(newest.seq)) == []


async def test_many_records_come_in_the_order_asked_for(bridge):
    for key in "abc":
        await bridge.states.create("kind", key, key.encode())
    found = await bridge.states.find_many("kind", ["c", "never", "a"])
    assert [each.value for each in found] == [b"c", b"a"]


async def test_a_bad_key_or_a_record_beyond_the_limit_is_refused(bridge):
    with pytest.raises(InvalidIdError):
        await bridge.states.create("kind", "not a key", b"1")
    with pytest.raises(EventTooLargeError):
        await bridge.states.create("kind", "a", b"x" * (9 << 20))
    assert await bridge.states.keys("kind") == []


async def test_a_job_goes_to_one_of_those_who_ask_and_is_there_once(bridge, connect, eventually):
    other = await connect()
    for run_id in ("r1", "r2"):
        await bridge.jobs.put("work", run_id, b'{"a":1}')
        with pytest.raises(AlreadyQueuedError):
            await other.jobs.put("work", run_id)
    consumers = [await each.jobs.consumer("work", lease_s=30) for each in (bridge, other)]
    got = [await each.fetch(1, wait_s=5) for each in consumers]
    jobs = [job for jobs in got for job in jobs]
    assert sorted((job.executor, job.run_id, job.payload) for job in jobs) == [
        ("work", "r1", b'{"a":1}'),
        ("work", "r2", b'{"a":1}'),
    ]
    assert await consumers[0].fetch(1, wait_s=0.05) == []
    for job in jobs:
        await job.ack()
    await eventually(lambda: is_put(bridge, "r1"))  # nobody waits for what an ack does
    assert [job.run_id for job in await consumers[0].fetch(1, wait_s=5)] == ["r1"]
    for each in consumers:
        await each.close()


async def is_put(bridge, run_id):
    try:
        await bridge.jobs.put("work", run_id)
    except AlreadyQueuedError:
        return False
    return True


async def test_a_job_comes_again_when_its_lease_has_lapsed_and_not_while_it_is_renewed(bridge):
    consumer = await bridge.jobs.consumer("work", lease_s=0.5)
    for run_id in ("kept", "dropped"):
        await bridge.jobs.put("work", run_id)
    jobs = {}
    while len(jobs) < 2:
        jobs |= {job.run_id: job for job in await consumer.fetch(2, wait_s=5)}
    leases = bridge.leases(every_s=0.1, max_blocked_s=60)
    async with leases.kept():
        leases.hold(jobs["kept"])
        assert [job.run_id for job in await consumer.fetch(2, wait_s=5)] == ["dropped"]
        assert [job.run_id for job in await consumer.fetch(2, wait_s=5)] == ["dropped"]
        leases.release("kept")
        again = []
        while "kept" not in again:
            again += [job.run_id for job in await consumer.fetch(2, wait_s=5)]
    await consumer.close()


async def test_a_job_that_is_given_back_comes_again_at_once_or_after_a_while(bridge):
    consumer = await bridge.jobs.consumer("work", lease_s=30)
    await bridge.jobs.put("work", "r1")
    (job,) = await consumer.fetch(1, wait_s=5)
    await job.nak()
    (job,) = await consumer.fetch(1, wait_s=5)
    await job.nak(0.5)
    assert await consumer.fetch(1, wait_s=0.1) == []
    (job,) = await consumer.fetch(1, wait_s=5)
    await job.ack()
    assert await consumer.fetch(1, wait_s=0.1) == []
    await consumer.close()


async def test_who_waits_for_a_job_gets_it_when_it_comes(bridge, connect):
    consumer = await bridge.jobs.consumer("work", lease_s=30)
    fetching = asyncio.create_task(consumer.fetch(1, wait_s=10))
    await asyncio.sleep(0)
    await (await connect()).jobs.put("work", "r1")
    assert [job.run_id for job in await asyncio.wait_for(fetching, 5)] == ["r1"]
    await consumer.close()


async def test_jobs_of_one_executor_have_one_lease(bridge, connect):
    consumer = await bridge.jobs.consumer("work", lease_s=30)
    with pytest.raises(ConsumerDriftError):
        await (await connect()).jobs.consumer("work", lease_s=10)
    await consumer.close()


async def test_nudges_reach_those_who_listen(bridge, connect, eventually):
    other, heard = await connect(), []
    async with other.controls.listen(heard.append):

        async def is_heard():
            await bridge.controls.nudge("r1")
            return heard

        assert "r1" in await eventually(is_heard)
    with pytest.raises(InvalidIdError):
        await bridge.controls.nudge("not a run")


async def test_who_executes_a_run_says_so_until_it_is_released(bridge, connect):
    leases = [(await connect()).leases(every_s=1, max_blocked_s=60) for _ in range(2)]
    async with leases[0].kept(), leases[1].kept():
        for each, run_id in zip(leases, ("r1", "r2"), strict=True):
            each.vouch(run_id)
            assert await bridge.holders.is_claimed(run_id, within_s=5)
        assert await bridge.holders.ask(["r1", "r2", "r3"]) == {"r1", "r2"}
        assert not await bridge.holders.is_claimed("r3", within_s=0.1)
        leases[0].release("r1")
        assert not await bridge.holders.is_claimed("r1", within_s=0.1)
    assert await bridge.holders.ask(["r1", "r2"]) == set()
    assert await bridge.holders.ask([]) == set()


async def test_runs_are_known_by_thread_and_events_by_id(bridge, connect):
    other = await connect()
    births = {name: await bridge.create(name, thread_id="t") for name in ("r1", "r2")}
    await bridge.create("r3", thread_id="another")
    assert sorted(await other.list_runs("t")) == ["r1", "r2"]
    assert await other.list_runs("nobody") == []
    assert (await other.find_thread("r3"), await other.find_thread("r4")) == ("another", None)
    assert (await other.find_event("r1", births["r1"])).event == "metadata"
    for stranger in (births["r2"], "1-1000", "nonsense"):
        assert await other.find_event("r1", stranger) is None
    with pytest.raises(StreamNotFoundError):
        await other.find_event("r4", births["r1"])


async def test_a_deleted_run_has_lived_and_one_that_nobody_created_has_not(bridge):
    await bridge.create("r1", thread_id="t")
    assert (await bridge.has_lived("r1"), await bridge.is_deleted("r1")) == (True, False)
    await bridge.cleanup("r1")
    assert (await bridge.has_lived("r1"), await bridge.is_deleted("r1")) == (True, True)
    assert (await bridge.has_lived("r2"), await bridge.is_deleted("r2")) == (False, False)
