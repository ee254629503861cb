"""Observers hear of every run, and disturb none, on both managers."""

import asyncio
from itertools import pairwise

import pytest
from running import ref, spec, succeed

from runs import RunObservation, RunObserver


class Noting(RunObserver):
    """Notes what it hears, by run and by thread."""

    def __init__(self):
        self.heard = []

    async def human_message(self, run, message):
        self.heard.append(("human", run.run_id, message["content"]))

    async def started(self, run):
        self.heard.append(("started", run.run_id))

    async def completed(self, run):
        self.heard.append(("completed", run.run_id))

    async def failed(self, run):
        self.heard.append(("failed", run.run_id, run.error.error))

    async def cancelled(self, run):
        self.heard.append(("cancelled", run.run_id))

    async def thread_status(self, thread):
        self.heard.append(("thread", thread.thread_id, thread.status.value))

    def of(self, run):
        return [heard for heard in self.heard if heard[1] == run.run_id]


class Failing(Noting):
    """Raises, or never returns, at what it is told to."""

    def __init__(self, failing=(), hanging=()):
        super().__init__()
        self.failing = failing
        self.hanging = hanging

    async def started(self, run):
        await super().started(run)
        if "started" in self.failing:
            raise ZeroDivisionError
        if "started" in self.hanging:
            await asyncio.Event().wait()


@pytest.fixture
def observing(connect):
    """Observe on a bridge of its own: ``async with await observing(observer): ...``."""

    async def observe(observer, name="observer-1", **options):
        limits = {"poll_s": 0.02, "timeout_s": 0.3, **options}
        return RunObservation(await connect(), observer, name, **limits)

    return observe


async def test_a_run_is_told_from_its_messages_to_its_end(
    facade, thread, observing, working, eventually
):
    said = {"messages": [{"role": "user", "content": "hello"}, {"role": "ai", "content": "no"}]}
    observer = Noting()
    async with (await observing(observer)).running(), working():
        run = await facade.create_background(spec(thread, input=said))
        await eventually(lambda: ("completed", run.run_id) in observer.heard)
        await eventually(lambda: ("thread", thread, "idle") in observer.heard)
    names = [heard[0] for heard in observer.of(run)]
    assert names == ["human", "started", "completed"]
    assert observer.of(run)[0] == ("human", run.run_id, "hello")


async def test_failures_and_cancels_are_told_whichever_process_ended_the_run(
    facade, thread, observing, working, eventually
):
    observer = Noting()
    async with (await observing(observer)).running():
        cancelled = await facade.create_background(spec(thread))
        await facade.cancel(thread, cancelled.run_id)
        failing = await facade.create_background(spec(thread, input={"fail": "as asked"}))
        await eventually(lambda: ("thread", thread, "busy") in observer.heard)
        async with working():
            await eventually(lambda: ("failed", failing.run_id, "EchoError") in observer.heard)
        await eventually(lambda: ("thread", thread, "error") in observer.heard)
    assert observer.of(cancelled) == [("cancelled", cancelled.run_id)]
    told = [heard[2] for heard in observer.heard if heard[0] == "thread"]
    assert all(a != b for a, b in pairwise(told))


async def test_an_observer_that_fails_is_counted_and_hears_the_rest(
    facade, manager, bridge, thread, observing, eventually
):
    observer = Failing(failing=["started"])
    observation = await observing(observer)
    async with observation.running():
        run = await facade.create_background(spec(thread))
        await manager.start(ref(run), "w", 1)
        await succeed(bridge, facade, run, 1)
        await eventually(lambda: ("completed", run.run_id) in observer.heard)
    assert observation.failures == 1


async def test_an_observer_that_hangs_delays_no_run_and_is_cut(
    facade, thread, observing, working, eventually
):
    observer = Failing(hanging=["started"])
    observation = await observing(observer, timeout_s=0.5)
    async with observation.running(), working():
        first = await facade.create_background(spec(thread, input=1))
        await eventually(lambda: ("started", first.run_id) in observer.heard)
        assert await facade.join_wait(thread, first.run_id) == 1
        async with asyncio.timeout(5):
            for n in range(3):
                run = await facade.create_background(spec(thread, input=n))
                assert await facade.join_wait(thread, run.run_id) == n
        await eventually(lambda: ("completed", run.run_id) in observer.heard, within_s=20)
    assert observation.failures == 4


async def test_a_new_name_hears_nothing_of_before_and_an_old_one_goes_on(
    facade, thread, observing, eventually
):
    early = await facade.create_background(spec(thread))
    await facade.cancel(thread, early.run_id)
    first, second = Noting(), Noting()
    async with (await observing(first)).running():
        run = await facade.create_background(spec(thread))
        await facade.cancel(thread, run.run_id)
        await eventually(lambda: ("cancelled", run.run_id) in first.heard)
        await eventually(lambda: ("thread", thread, "interrupted") in first.heard)
    assert first.of(early) == []
    missed = await facade.create_background(spec(thread))
    await facade.cancel(thread, missed.run_id)
    async with (await observing(second)).running():
        await eventually(lambda: ("cancelled", missed.run_id) in second.heard)
    assert second.of(early) == second.of(run) == []


async def test_two_with_one_name_are_both_told(facade, thread, observing, eventually):
    both = Noting(), Noting()
    async with (await observing(both[0])).running(), (await observing(both[1])).running():
        runs = [await facade.create_background(spec(thread)) for _ in range(4)]
        for run in runs:
            await facade.cancel(thread, run.run_id)
        for each in both:
            for run in runs:
                await eventually(lambda e=each, r=run: ("cancelled", r.run_id) in e.heard)


async def test_an_observer_hears_only_what_it_overrides(facade, thread, observing, eventually):
    class Ends(RunObserver):
        def __init__(self):
            self.ended = []

        async def cancelled(self, run):
            self.ended.append(run.run_id)

    observer = Ends()
    observation = await observing(observer)
    async with observation.running():
        run = await facade.create_background(spec(thread))
        await facade.cancel(thread, run.run_id)
        await eventually(lambda: observer.ended)
    assert (observer.ended, observation.failures) == ([run.run_id], 0)
