"""Limits on the runs of one user and of one assistant: exact under races, and never leaked."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

import runs.quotas
from bridge import BridgeSettings, InvalidContentError, JetStreamBridge, NatsSettings
from runs import (
    AssistantCatalog,
    RunConflictError,
    RunManager,
    RunSettings,
    RunsFacade,
    RunSpec,
    TooManyRunsError,
)

LIMIT = 3


class CreatorDiedError(BaseException):
    """What a SIGKILL looks like from inside a test."""


async def die(*_, **__):
    raise CreatorDiedError


@pytest.fixture
async def connect(server):
    """Open facades as gateways of their own would: ``await connect(max_runs_per_user=3)``."""
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    async with AsyncExitStack() as stack:

        async def connect(**limits):
            bridge = await stack.enter_async_context(JetStreamBridge(BridgeSettings(nats=nats)))
            manager = RunManager(bridge, AssistantCatalog(), RunSettings(**limits))
            return RunsFacade(manager, bridge)

        yield connect


@pytest.fixture
async def facade(connect):
    return await connect(max_runs_per_user=LIMIT)


def spec(user="ann", **options):
    return RunSpec(assistant_id="echo", user_id=user, **options)


async def end(facade, run):
    await facade._bridge.publish_end(run.run_id)
    await facade.settle(run.thread_id, run.run_id)


async def counted(facade):
    keys = await facade._bridge.states.keys("quota")
    found = await facade._bridge.states.find_many("quota", keys)
    return {run_id for each in found for run_id in runs.quotas.Quota.decode(each.value).runs}


async def fill(facade, **options):
    return [await facade.create_background(spec(**options)) for _ in range(LIMIT)]


async def test_a_user_has_as_many_runs_as_the_limit_says_and_others_have_theirs(facade):
    first, *_ = await fill(facade)
    with pytest.raises(TooManyRunsError):
        await facade.create_background(spec())
    await fill(facade, user="bob")
    await facade.create_background(spec(user=None))  # nobody's run
    await end(facade, first)
    await facade.create_background(spec())
    with pytest.raises(TooManyRunsError):
        await facade.create_background(spec())


async def test_a_refused_create_stores_nothing(facade):
    await fill(facade)
    before = await facade._bridge.states.keys("run"), await facade._bridge.states.keys("thread")
    with pytest.raises(TooManyRunsError):
        await facade.create_background(spec())
    after = await facade._bridge.states.keys("run"), await facade._bridge.states.keys("thread")
    assert after == before
    with pytest.raises(TooManyRunsError):
        await facade.create_background(spec(idempotency_key="k"))
    run_ids = await facade._bridge.states.keys("run")
    assert len(await facade._manager.records.find_runs(run_ids)) == LIMIT


async def test_an_assistant_has_as_many_runs_as_the_limit_says(connect):
    facade = await connect(max_runs_per_assistant=LIMIT)
    await fill(facade, user="ann")
    with pytest.raises(TooManyRunsError, match="echo"):
        await facade.create_background(spec(user="bob"))
    other = spec(user="bob").model_copy(update={"assistant_id": "passages"})
    await facade.create_background(other)


async def test_gateways_that_race_never_exceed_the_limit(connect):
    facades = [await connect(max_runs_per_user=LIMIT) for _ in range(4)]
    creates = [each.create_background(spec()) for each in facades for _ in range(5)]
    outcomes = await asyncio.gather(*creates, return_exceptions=True)
    made = [each for each in outcomes if not isinstance(each, Exception)]
    assert len(made) == LIMIT
    refused = [each for each in outcomes if isinstance(each, Exception)]
    assert {type(each) for each in refused} == {TooManyRunsError}


@pytest.mark.parametrize(
    "way", ["cancel", "rollback", "delete run", "delete thread", "conflict", "no json"]
)
async def test_a_run_counts_no_longer_however_it_ended(facade, way):
    run = await facade.create_background(spec(on_completion="keep"))
    match way:
        case "cancel" | "rollback":
            action = "interrupt" if way == "cancel" else "rollback"
            await facade.cancel(run.thread_id, run.run_id, action=action)
        case "delete run":
            await facade.delete_run(run.thread_id, run.run_id)
        case "delete thread":
            await facade.delete_thread(run.thread_id)
        case "conflict":
            with pytest.raises(RunConflictError):
                await facade.create_background(
                    spec(thread_id=run.thread_id, multitask_strategy="reject")
                )
            await end(facade, run)
        case "no json":
            with pytest.raises(InvalidContentError):
                await facade.create_background(spec(input=float("nan")))
            await end(facade, run)
    assert await counted(facade) == set()


async def test_what_a_settler_that_died_left_counts_no_longer_when_it_matters(facade, connect):
    forgetful = await connect()  # it knows no limits, so it takes nobody out
    for run in await fill(facade):
        await end(forgetful, run)
    assert len(await counted(facade)) == LIMIT
    run = await facade.create_background(spec())
    assert await counted(facade) == {run.run_id}


@pytest.mark.parametrize("step", ["create_run", "write_thread"])
async def test_creators_that_died_half_way_lock_nobody_out(facade, connect, monkeypatch, step):
    dying = await connect(max_runs_per_user=LIMIT)
    monkeypatch.setattr(dying._manager.records, step, die)
    for _ in range(LIMIT):
        with pytest.raises(CreatorDiedError):
            await dying.create_background(spec())
    with pytest.raises(TooManyRunsError):  # they may still be at it
        await facade.create_background(spec())
    monkeypatch.setattr(runs.quotas, "_CREATE_AGE", timedelta())
    run = await facade.create_background(spec())
    assert await counted(facade) == {run.run_id}


async def test_a_full_record_drops_no_run_that_is_under_way_however_old(facade, monkeypatch):
    await fill(facade)
    monkeypatch.setattr(runs.quotas, "_CREATE_AGE", timedelta())
    with pytest.raises(TooManyRunsError):
        await facade.create_background(spec())


async def test_a_repeat_with_its_key_counts_once_and_gets_its_run_at_the_limit(
    facade,
):
    first = await facade.create_background(spec(idempotency_key="k"))
    await facade.create_background(spec())
    await facade.create_background(spec())
    again = await facade.create_background(spec(idempotency_key="k"))
    assert again.run_id == first.run_id
    assert len(await counted(facade)) == LIMIT
