"""Crons create one run a firing, whoever dies in between, whichever the bridge."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bridge import new_id
from runs import (
    AssistantBook,
    AssistantCatalog,
    AssistantNotFoundError,
    AssistantVersion,
    CronFirings,
    CronNotFoundError,
    CronQuery,
    InvalidScheduleError,
    MultitaskStrategy,
    RunQuery,
    RunSpec,
    ThreadNotFoundError,
    TooManyCronsError,
    UnsupportedOptionError,
)
from runs.crons.crons import CRON, TimedCron
from runs.models import now

EVERY_SECOND = "* * * * * *"
SELDOM = "0 0 29 2 *"
SPEC = RunSpec(assistant_id="echo", input={"n": 1}, on_completion="keep")


@pytest.fixture
async def manager(make_manager):
    return await make_manager(min_cron_interval_s=1, stale_s=0.2)


@pytest.fixture
def crons(manager):
    return manager.crons


@pytest.fixture
def make_firings(manager, bridge):
    return lambda: CronFirings(bridge, manager, stale_s=0.2)


@pytest.fixture
async def fired(bridge):
    """What the server hands out; it comes again after half a second."""
    consumer = await bridge.timers.consumer(CRON, lease_s=0.5)
    yield consumer
    await consumer.close()


async def dates_of(facade, cron):
    """The scheduled times of the runs that a cron has created."""
    page = await facade.search_runs(RunQuery(metadata={"cron_id": cron.cron_id}), limit=100)
    return sorted(run.metadata["cron_run_date"] for run in page.runs)


async def overdue(crons, cron):
    """Make a cron one that should have fired two hours ago, with its timer set."""
    found = await crons.find(cron.cron_id)
    past = cron.model_copy(update={"next_at": now() - timedelta(hours=2)})
    assert await crons.write(found, past)
    await crons.set_timer(past)
    return past


async def test_a_cron_fires_again_and_again(crons, facade, make_firings, eventually):
    cron = await crons.create(SPEC, EVERY_SECOND)

    async def has_fired_thrice():
        return len(await dates_of(facade, cron)) >= 3

    async with make_firings().going_on(), make_firings().going_on():
        await eventually(has_fired_thrice, within_s=20)
    dates = await dates_of(facade, cron)
    assert len(set(dates)) == len(dates)
    assert dates[0] == cron.next_at.isoformat()


@pytest.fixture(params=["run", "record", "timer"])
def dying_once(request, manager, crons, monkeypatch):
    """Whoever handles a firing dies in one step; for the run, right behind it."""
    holder, name = {
        "run": (manager, "create"),
        "record": (crons, "write"),
        "timer": (crons, "set_timer"),
    }[request.param]
    call = getattr(holder, name)

    async def dies(*args):
        monkeypatch.undo()
        if request.param == "run":
            await call(*args)
        raise asyncio.CancelledError

    return lambda: monkeypatch.setattr(holder, name, dies)


async def test_who_dies_at_a_step_is_replaced_and_there_is_one_run(
    crons, facade, fired, make_firings, dying_once
):
    cron = await overdue(crons, await crons.create(SPEC, SELDOM))
    dying_once()
    with pytest.raises(asyncio.CancelledError):
        await make_firings().handle(fired, wait_s=10)
    await make_firings().handle(fired, wait_s=10)
    assert await dates_of(facade, cron) == [cron.next_at.isoformat()]
    assert (await crons.get(cron.cron_id)).next_at > now()
    assert await fired.fetch(1, wait_s=0.7) == []


async def test_a_firing_that_comes_again_creates_no_second_run(crons, facade, fired, make_firings):
    cron = await overdue(crons, await crons.create(SPEC, SELDOM))
    (lost,) = await fired.fetch(1, wait_s=10)
    await make_firings()._fire(lost.key, TimedCron.decode(lost.payload).at)
    await make_firings().handle(fired, wait_s=10)
    assert await dates_of(facade, cron) == [cron.next_at.isoformat()]


async def test_after_an_outage_a_cron_fires_once_not_for_every_missed_time(
    crons, facade, fired, make_firings
):
    cron = await crons.create(SPEC, "*/5 * * * *")
    late = await overdue(crons, cron)  # 24 times were missed
    await make_firings().handle(fired, wait_s=10)
    assert await dates_of(facade, cron) == [late.next_at.isoformat()]
    assert (await crons.get(cron.cron_id)).next_at > now()


async def test_a_timer_that_a_crash_kept_from_being_set_is_set_by_others(
    crons, facade, make_firings, monkeypatch, eventually
):
    async def dies(*_args, **_options):
        raise asyncio.CancelledError

    monkeypatch.setattr(crons, "set_timer", dies)
    with pytest.raises(asyncio.CancelledError):
        await crons.create(SPEC, EVERY_SECOND)
    monkeypatch.undo()
    (cron,) = await crons.search(CronQuery())

    async def has_fired():
        return await dates_of(facade, cron)

    async with make_firings().going_on():
        await eventually(has_fired, within_s=20)


@pytest.mark.parametrize("way", ["disabled", "over", "deleted"])
async def test_a_firing_behind_the_end_of_a_cron_creates_nothing(
    way, crons, facade, fired, make_firings
):
    cron = await overdue(crons, await crons.create(SPEC, SELDOM))
    (held,) = await fired.fetch(1, wait_s=10)
    if way == "deleted":
        await crons.delete(cron.cron_id)
    else:
        changes = {"disabled": {"enabled": False}, "over": {"end_time": now()}}[way]
        assert (await crons.update(cron.cron_id, changes)).next_at is None
    await make_firings()._handle(held)
    assert await dates_of(facade, cron) == []
    assert await fired.fetch(1, wait_s=0.7) == []


async def test_the_last_firing_is_the_one_before_the_end(crons, facade, fired, make_firings):
    cron = await crons.create(SPEC, EVERY_SECOND)
    cron = await crons.update(cron.cron_id, {"end_time": cron.next_at + timedelta(seconds=0.5)})
    await make_firings().handle(fired, wait_s=10)
    assert len(await dates_of(facade, cron)) == 1
    assert (await crons.get(cron.cron_id)).next_at is None
    assert await fired.fetch(1, wait_s=1.5) == []


async def test_another_schedule_counts_at_once(crons, facade, fired, make_firings):
    cron = await crons.create(SPEC, SELDOM)
    changed = await crons.update(cron.cron_id, {"schedule": EVERY_SECOND, "input": {"n": 2}})
    assert changed.next_at < cron.next_at
    await make_firings().handle(fired, wait_s=10)
    (run,) = (await facade.search_runs(RunQuery())).runs
    assert run.kwargs["input"] == {"n": 2}


@pytest.fixture
def book(bridge):
    return AssistantBook(bridge, AssistantCatalog(), max_versions=2)


@pytest.fixture
async def made(book):
    """The id of an assistant that a client made."""
    return (await book.create(AssistantVersion(graph_id="echo", name="mine"))).assistant_id


async def test_a_cron_creates_runs_of_an_assistant_that_a_client_made(
    crons, facade, fired, make_firings, made
):
    cron = await crons.create(SPEC.model_copy(update={"assistant_id": made}), SELDOM)
    await overdue(crons, cron)
    await make_firings().handle(fired, wait_s=10)
    (run,) = (await facade.search_runs(RunQuery())).runs
    assert [(each.assistant_id, each.executor) for each in (cron, run)] == [(made, "echo")] * 2
    assert await crons.search(CronQuery(assistant=made)) == [await crons.get(cron.cron_id)]


async def test_a_cron_whose_assistant_is_gone_can_be_disabled(crons, book, made):
    cron = await crons.create(SPEC.model_copy(update={"assistant_id": made}), SELDOM)
    await book.delete(made)
    with pytest.raises(AssistantNotFoundError):
        await crons.update(cron.cron_id, {"input": 1})
    assert (await crons.update(cron.cron_id, {"enabled": False})).next_at is None


@pytest.mark.parametrize(
    "changes",
    [{"end_time": datetime(2999, 1, 1)}, {"shedule": "@daily"}, {"metadata": None}],  # noqa: DTZ001 - what is refused
)
async def test_a_change_that_does_not_fit_is_refused_and_spoils_no_search(crons, changes):
    cron = await crons.create(SPEC, SELDOM, enabled=False)
    with pytest.raises(ValueError, match=next(iter(changes))):
        await crons.update(cron.cron_id, changes)
    assert await crons.search(CronQuery()) == [cron]


async def test_enabling_a_cron_plans_it_from_now(crons):
    cron = await crons.create(SPEC, EVERY_SECOND, enabled=False)
    assert cron.next_at is None
    enabled = await crons.update(cron.cron_id, {"enabled": True})
    assert enabled.next_at > enabled.updated_at


async def test_runs_of_a_thread_that_refuses_them_are_passed_over(
    crons, facade, fired, make_firings, thread
):
    spec = SPEC.model_copy(
        update={"thread_id": thread, "multitask_strategy": MultitaskStrategy.REJECT}
    )
    cron = await crons.create(spec, SELDOM)
    await facade.create_background(SPEC.model_copy(update={"thread_id": thread}))
    await overdue(crons, cron)
    await make_firings().handle(fired, wait_s=10)
    assert await dates_of(facade, cron) == []
    assert (await crons.get(cron.cron_id)).next_at > now()


async def test_a_cron_goes_with_its_thread(crons, thread, facade, fired, manager, make_firings):
    spec = SPEC.model_copy(update={"thread_id": thread})
    cron = await crons.create(spec, SELDOM)
    await overdue(crons, cron)
    # It came into being while the thread went: the next firing removes it.
    await manager.records.remove_thread(thread)
    await make_firings().handle(fired, wait_s=10)
    with pytest.raises(CronNotFoundError):
        await crons.get(cron.cron_id)
    other = (await facade.create_thread()).thread_id
    cron = await crons.create(spec.model_copy(update={"thread_id": other}), SELDOM)
    assert await facade.delete_thread(other)
    with pytest.raises(CronNotFoundError):
        await crons.get(cron.cron_id)


async def test_what_can_never_run_is_refused_before_anything_is_stored(crons):
    for changes, error in [
        ({"assistant_id": "nobody"}, AssistantNotFoundError),
        ({"thread_id": new_id()}, ThreadNotFoundError),
        ({"interrupt_before": ("a",)}, UnsupportedOptionError),
        ({"webhook": "https://example.org"}, UnsupportedOptionError),
    ]:
        with pytest.raises(error):
            await crons.create(SPEC.model_copy(update=changes), SELDOM)
    with pytest.raises(InvalidScheduleError, match="schedule"):
        await crons.create(SPEC, "often")
    assert await crons.search(CronQuery()) == []


async def test_there_are_only_so_many_crons(make_manager):
    limits = {"max_crons": 3, "max_crons_per_user": 2, "min_cron_interval_s": 60}
    crons = (await make_manager(**limits)).crons
    hers = SPEC.model_copy(update={"user_id": "her"})
    with pytest.raises(InvalidScheduleError, match="60 s"):
        await crons.create(SPEC, EVERY_SECOND)
    first = await crons.create(hers, SELDOM)
    await crons.create(hers, SELDOM)
    with pytest.raises(TooManyCronsError, match="the user has 2"):
        await crons.create(hers, SELDOM)
    await crons.create(SPEC, SELDOM)
    with pytest.raises(TooManyCronsError, match="the deployment has 3"):
        await crons.create(SPEC, SELDOM)
    await crons.delete(first.cron_id)
    await crons.create(hers, SELDOM)


async def test_crons_are_found_by_what_they_are(crons, thread):
    on_thread = SPEC.model_copy(update={"thread_id": thread, "metadata": {"a": 1, "b": 2}})
    first = await crons.create(SPEC, SELDOM, enabled=False)
    second = await crons.create(on_thread, "0 0 * * *", end_time=datetime(2999, 1, 1, tzinfo=UTC))

    async def found(**query):
        return [each.cron_id for each in await crons.search(CronQuery(**query))]

    both = [second.cron_id, first.cron_id]
    assert await found() == await found(assistant="echo") == both
    assert await found(is_descending=False) == both[::-1]
    assert await found(assistant=first.assistant_id, enabled=False) == [first.cron_id]
    assert await found(thread_id=thread) == await found(metadata={"a": 1}) == [second.cron_id]
    assert await found(metadata={"a": 2}) == await found(assistant="passages") == []
    assert await found(sort_by="next_run_date", is_descending=False) == both
