"""What belongs to another user is as if it did not exist: in every call, of every implementation.

A call that is added to the facade or the manager must be entered here: as one that knows users, or
with the reason why it needs not.
"""

import asyncio
import inspect
from contextlib import AsyncExitStack

import pytest

from bridge import RunRef, new_id
from runs import (
    CronQuery,
    Crons,
    RunManager,
    RunQuery,
    RunsError,
    RunsFacade,
    RunSpec,
    RunStatus,
    ThreadExistsError,
    ThreadNotFoundError,
    ThreadQuery,
)
from runs.thread import Question

HER, HIM = "her", "him"


@pytest.fixture
async def hers(facade):
    """A run of hers that is under way."""
    thread = await facade.create_thread(user_id=HER, metadata={"of": HER})
    return await new_run(facade, thread.thread_id)


async def new_run(facade, thread_id, user_id=HER):
    run = await facade.create_background(of(thread_id, user_id))
    return RunRef(run.thread_id, run.run_id)


def of(thread_id, user_id, **options):
    return RunSpec(thread_id=thread_id, assistant_id="echo", user_id=user_id, **options)


async def followed(opening):
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(opening)
        return "followed"


#: Each call as somebody makes it about a run and its thread.
FACADE = {
    "create_background": lambda f, run, who: f.create_background(of(run.thread_id, who)),
    "check": lambda f, run, who: f.check(of(run.thread_id, who)),
    "get_thread": lambda f, run, who: f.get_thread(run.thread_id, user_id=who),
    "update_thread": lambda f, run, who: f.update_thread(run.thread_id, {"a": 1}, user_id=who),
    "search_threads": lambda f, run, who: f.search_threads(
        ThreadQuery(ids=(run.thread_id,), user_id=who)
    ),
    "count_threads": lambda f, run, who: f.count_threads(
        ThreadQuery(ids=(run.thread_id,), user_id=who)
    ),
    "delete_thread": lambda f, run, who: f.delete_thread(run.thread_id, user_id=who),
    "thread_state": lambda f, run, who: f.thread_state(run.thread_id, user_id=who),
    "get_run": lambda f, run, who: f.get_run(*run, user_id=who),
    "find_run": lambda f, run, who: f.find_run(run.run_id, user_id=who),
    "list_runs": lambda f, run, who: f.list_runs(run.thread_id, user_id=who),
    "search_runs": lambda f, run, who: f.search_runs(RunQuery(ids=(run.run_id,), user_id=who)),
    "count_runs": lambda f, run, who: f.count_runs(RunQuery(ids=(run.run_id,), user_id=who)),
    "tally_runs": lambda f, run, who: f.tally_runs(RunQuery(ids=(run.run_id,), user_id=who)),
    "get_webhook": lambda f, run, who: f.get_webhook(*run, user_id=who),
    "cancel": lambda f, run, who: f.cancel(*run, user_id=who),
    "cancel_all": lambda f, run, who: f.cancel_all(thread_id=run.thread_id, user_id=who),
    "delete_run": lambda f, run, who: f.delete_run(*run, user_id=who),
    "join_wait": lambda f, run, who: f.join_wait(*run, user_id=who),
    "join_stream": lambda f, run, who: followed(f.join_stream(*run, user_id=who)),
}
FACADE_NEEDS_NOT = {
    "find_question": "needs a run that asks; tested below",
    "find_place_of_question": "needs a run that asks; tested below",
    "wait_settled": "does what the log says already, for the process that shows it afterwards",
    "create_thread": "ids are everybody's: a taken one is refused; tested below",
    "create_copy": "takes a thread that was read for its user, and belongs to its owner",
    "settle": "does what the log says already, for the process that shows it afterwards",
    "state_of": "takes a thread that was read for its user",
}
MANAGER = {
    "create": lambda m, run, who: m.create(of(run.thread_id, who)),
    "check": lambda m, run, who: m.check(of(run.thread_id, who)),
    "get_thread": lambda m, run, who: m.get_thread(run.thread_id, user_id=who),
    "amend_thread": lambda m, run, who: m.amend_thread(run.thread_id, {"a": 1}, user_id=who),
    "cancel": lambda m, run, who: m.cancel(run, user_id=who),
}
MANAGER_NEEDS_NOT = {
    "create_thread": "ids are everybody's: a taken one is refused; tested below",
    "ask": "of workers, which serve all users",
    "become_due": "of workers, which serve all users",
    "start": "of workers, which serve all users",
    "release": "of workers, which serve all users",
    "note_trimmed": "of expiry, which ends the threads of all users",
    "settle": "does what the log says already",
    "expect_run": "notes what this process has read",
}


CRONS = {
    "create": lambda c, cron, who: c.create(of(cron.thread_id, who), NEVER, enabled=False),
    "get": lambda c, cron, who: c.get(cron.cron_id, user_id=who),
    "update": lambda c, cron, who: c.update(cron.cron_id, {"input": 1}, user_id=who),
    "delete": lambda c, cron, who: c.delete(cron.cron_id, user_id=who),
    "search": lambda c, cron, who: c.search(CronQuery(thread_id=cron.thread_id, user_id=who)),
}
CRONS_NEED_NOT = {
    "delete_of_thread": "called behind the deletion of the thread",
    "find": "of those who fire crons of all users",
    "write": "of those who fire crons of all users",
    "set_timer": "of those who fire crons of all users",
}
#: On leap days only.
NEVER = "0 0 29 2 *"


def public_calls(of_class):
    members = inspect.getmembers(of_class, callable)
    return {name for name, _ in members if not name.startswith("_")}


@pytest.mark.parametrize(
    ("of_class", "tested", "needs_not"),
    [
        (RunsFacade, FACADE, FACADE_NEEDS_NOT),
        (RunManager, MANAGER, MANAGER_NEEDS_NOT),
        (Crons, CRONS, CRONS_NEED_NOT),
    ],
)
def test_every_call_is_tested_with_two_users(of_class, tested, needs_not):
    assert public_calls(of_class) == tested.keys() | needs_not.keys()


async def outcome_of(call):
    """Return what a call came to, without the ids in it."""
    try:
        async with asyncio.timeout(0.5):
            returned = await call
    except TimeoutError:
        return "waits"
    except RunsError as error:
        return type(error)
    return returned


async def stored(bridge, run):
    """Return all that a call could have changed."""
    records = [
        await bridge.states.find(kind, key)
        for kind, key in [("thread", run.thread_id), ("run", run.run_id)]
    ]
    return [each and each.revision for each in records], await bridge.status(run.run_id)


@pytest.fixture(params=["facade", "manager"])
def layer(request):
    """The calls of one layer, by name, and what they are called on."""
    table = {"facade": FACADE, "manager": MANAGER}[request.param]
    return table, request.getfixturevalue(request.param)


def nothing():
    return RunRef(new_id(), new_id())


async def test_a_call_about_another_users_run_is_one_about_nothing(bridge, hers, layer):
    calls, target = layer
    before = await stored(bridge, hers)
    for name, call in calls.items():
        about_hers = await outcome_of(call(target, hers, HIM))
        assert about_hers == await outcome_of(call(target, nothing(), HIM)), name
        assert await stored(bridge, hers) == before, name


@pytest.mark.parametrize("who", [HER, None])
async def test_a_call_about_ones_own_run_finds_it(facade, layer, who):
    calls, target = layer
    for name, call in calls.items():
        own = await new_run(facade, (await facade.create_thread(user_id=HER)).thread_id)
        found = await outcome_of(call(target, own, who))
        assert found != await outcome_of(call(target, nothing(), who)), name


async def test_an_id_that_another_user_has_is_taken(facade, manager, hers):
    for if_exists in ("raise", "do_nothing"):
        with pytest.raises(ThreadExistsError):
            await facade.create_thread(thread_id=hers.thread_id, if_exists=if_exists, user_id=HIM)
    with pytest.raises(ThreadExistsError):
        await manager.create_thread(hers.thread_id, user_id=HIM)
    with pytest.raises(ThreadNotFoundError):
        await facade.create_background(of(hers.thread_id, HIM, if_not_exists="create"))
    with pytest.raises(ThreadNotFoundError):
        await facade.create_background(of(hers.thread_id, HIM, idempotency_key="k"))


async def test_stopping_everything_stops_ones_own_runs_only(facade, hers):
    his_thread = await facade.create_thread(user_id=HIM)
    his = await new_run(facade, his_thread.thread_id, HIM)
    await facade.cancel_all(user_id=HIM)
    assert (await facade.get_run(*his)).status is RunStatus.INTERRUPTED
    assert (await facade.get_run(*hers)).status is RunStatus.PENDING


async def test_lists_and_searches_without_an_id_show_ones_own_only(facade, hers):
    his_thread = await facade.create_thread(user_id=HIM, metadata={"of": HIM})
    his = await new_run(facade, his_thread.thread_id, HIM)
    threads = await facade.search_threads(ThreadQuery(user_id=HIM))
    runs = await facade.search_runs(RunQuery(user_id=HIM))
    assert ([each.thread_id for each in threads.threads], threads.total) == ([his.thread_id], 1)
    assert ([each.run_id for each in runs.runs], runs.total) == ([his.run_id], 1)
    hers_too = await facade.search_runs(RunQuery(text=hers.run_id, user_id=HIM))
    assert hers_too.total == 0
    assert await facade.count_threads(ThreadQuery(metadata={"of": HER}, user_id=HIM)) == 0


async def test_a_question_is_seen_and_answered_by_its_owner_only(facade, manager, hers):
    await manager.start(hers, "worker", 1)
    await manager.ask(hers, 1, Question(input_id="i", prompt="which?"))
    assert await facade.find_question(*hers, user_id=HIM) is None
    assert await facade.find_place_of_question(hers.thread_id, user_id=HIM) is None
    with pytest.raises(ThreadNotFoundError):
        await facade.create_background(of(hers.thread_id, HIM, command={"resume": 1}))
    assert (await facade.find_question(*hers, user_id=HER)).prompt == "which?"
    assert await facade.find_place_of_question(hers.thread_id, user_id=HER) is not None
    answered = await facade.create_background(of(hers.thread_id, HER, command={"resume": 1}))
    assert answered.run_id == hers.run_id


async def test_a_run_that_an_operator_makes_in_a_users_thread_is_the_users(facade, hers):
    run = await new_run(facade, hers.thread_id, None)
    assert (await facade.get_run(*run, user_id=HER)).user_id == HER


async def test_the_same_key_of_two_users_stands_for_two_runs(facade):
    first, second = [
        await facade.create_background(of(None, who, idempotency_key="k")) for who in (HER, HIM)
    ]
    assert first.run_id != second.run_id
    assert await facade.find_run(first.run_id, user_id=HIM) is None


async def test_a_cron_of_another_user_is_as_if_there_were_none(manager, facade):
    thread = await facade.create_thread(user_id=HER)
    cron = await manager.crons.create(of(thread.thread_id, HER), NEVER)
    unknown = cron.model_copy(update={"cron_id": new_id(), "spec": of(new_id(), HER)})
    for name, call in CRONS.items():
        about_hers = await outcome_of(call(manager.crons, cron, HIM))
        assert about_hers == await outcome_of(call(manager.crons, unknown, HIM)), name
        assert await manager.crons.get(cron.cron_id) == cron, name
    for name, call in CRONS.items():
        if name != "delete":
            own = await outcome_of(call(manager.crons, cron, HER))
            assert own != await outcome_of(call(manager.crons, unknown, HER)), name
    assert await outcome_of(manager.crons.delete(cron.cron_id, user_id=HER)) is None
