"""Over HTTP, too, another user's threads and runs are as if they did not exist: on every route.

Who asks is told by a header here; a route that is added must be entered in every_route.py.
"""

import pytest
from every_route import CREATE, NEED_NOT, ROUTES, RUN, ask, filled, served
from named_users import USER

from api.auth.caller import ALL_SCOPES, Caller, Role
from api.identity import user_of
from bridge import new_id

HER, HIM = {USER: "her"}, {USER: "him"}


async def authenticate(request):
    return Caller(request.headers[USER], Role.USER, ALL_SCOPES, "test")


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(authenticate)


@pytest.fixture
async def hers(http):
    """A run of hers that no worker takes, and a cron on its thread."""
    return await new_run(http, HER)


async def new_run(http, user):
    async with http.post("/threads", json={}, headers=user) as answer:
        thread_id = (await answer.json())["thread_id"]
    path = f"/threads/{thread_id}/runs"
    async with http.post(path, json=CREATE, headers=user) as answer:
        assert answer.status == 200, await answer.text()
        run_id = (await answer.json())["run_id"]
    cron = {**CREATE, "schedule": "0 9 * * *"}
    async with http.post(f"{path}/crons", json=cron, headers=user) as answer:
        assert answer.status == 200, await answer.text()
        return thread_id, run_id, (await answer.json())["cron_id"]


async def test_every_route_is_asked_by_two_users(gateway):
    assert served(gateway.app) == ROUTES.keys() | NEED_NOT.keys()


async def stored(bridge, run):
    records = [
        await bridge.states.find(kind, key)
        for kind, key in zip(["thread", "run", "cron"], run, strict=True)
    ]
    return [each and each.revision for each in records], await bridge.last_sequence()


async def test_asking_for_another_users_run_is_asking_for_nothing(gateway, http, hers):
    before = await stored(gateway.bridge, hers)
    for route in ROUTES:
        about_hers = await ask(http, route, hers, HIM)
        assert about_hers == await ask(http, route, (new_id(), new_id(), new_id()), HIM), route
        assert await stored(gateway.bridge, hers) == before, route


async def test_asking_for_ones_own_run_finds_it(http):
    for route in ROUTES:
        own = await ask(http, route, await new_run(http, HER), HER)
        assert own != await ask(http, route, (new_id(), new_id(), new_id()), HER), route


async def test_stopping_all_runs_stops_ones_own_only(http, hers):
    his = await new_run(http, HIM)
    async with http.post("/runs/cancel", json={"status": "all"}, headers=HIM) as answer:
        assert answer.status == 204
    for run, user, status in [(his, HIM, "interrupted"), (hers, HER, "pending")]:
        async with http.get(
            filled(RUN, {"thread_id": run[0], "run_id": run[1]}), headers=user
        ) as answer:
            assert (await answer.json())["status"] == status


async def test_a_taken_thread_id_is_refused_and_not_shown(http, hers):
    for if_exists in ("raise", "do_nothing"):
        body = {"thread_id": hers[0], "if_exists": if_exists}
        async with http.post("/threads", json=body, headers=HIM) as answer:
            assert (answer.status, (await answer.json())["code"]) == (409, "thread-exists")


async def test_two_users_may_give_a_subscription_the_same_name(http, hers, wire):
    his = await new_run(http, HIM)
    for run, user in [(hers, HER), (his, HIM)]:
        path = f"/threads/{run[0]}/stream?subscription=mine"
        async with wire.read(http, path, headers=user) as frames:
            assert (await frames.next_event())["data"]["run_id"] == run[1]


async def test_a_stateless_run_belongs_to_who_made_it(http):
    async with http.post("/runs", json=CREATE, headers=HER) as answer:
        made = await answer.json()
    run = made["thread_id"], made["run_id"], new_id()
    assert (await ask(http, f"GET {RUN}", run, HIM))[0] == 404
    assert (await ask(http, f"GET {RUN}", run, HER))[0] == 200


def test_a_request_that_nobody_identified_is_refused_not_opened():
    with pytest.raises(KeyError):
        user_of({})
