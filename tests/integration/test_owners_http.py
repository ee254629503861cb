"""Over HTTP, too, another user's threads and runs are as if they did not exist: on every route.

Who asks is told by a header here; a route that is added must be entered below.
"""

import asyncio

import pytest

from api.identity import user_of
from bridge import new_id

USER = "X-Test-User"
HER, HIM = {USER: "her"}, {USER: "him"}


async def identify(request):
    return request.headers.get(USER)


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(identify=identify)


@pytest.fixture
async def hers(http):
    """A run of hers that no worker takes."""
    return await new_run(http, HER)


async def new_run(http, user):
    async with http.post("/threads", json={}, headers=user) as answer:
        thread_id = (await answer.json())["thread_id"]
    path, body = f"/threads/{thread_id}/runs", {"assistant_id": "echo"}
    async with http.post(path, json=body, headers=user) as answer:
        assert answer.status == 200, await answer.text()
        return thread_id, (await answer.json())["run_id"]


CREATE = {"assistant_id": "echo"}
RUN = "/threads/{thread_id}/runs/{run_id}"
#: By route: the body that is sent; placeholders in it stand for the ids, as in the path.
ROUTES = {
    "GET /threads/{thread_id}": None,
    "PATCH /threads/{thread_id}": {"metadata": {"a": 1}},
    "DELETE /threads/{thread_id}": None,
    "POST /threads/{thread_id}/copy": None,
    "POST /threads/prune": {"thread_ids": ["{thread_id}"]},
    "GET /threads/{thread_id}/state": None,
    "POST /threads/{thread_id}/state": {"values": {}},
    "GET /threads/{thread_id}/state/{checkpoint_id}": None,
    "POST /threads/{thread_id}/state/checkpoint": {"checkpoint": {}},
    "GET /threads/{thread_id}/history": None,
    "POST /threads/{thread_id}/history": {},
    "POST /threads/search": {"ids": ["{thread_id}"]},
    "POST /threads/count": {"ids": ["{thread_id}"]},
    "POST /threads/{thread_id}/runs": CREATE,
    "POST /threads/{thread_id}/runs/stream": CREATE,
    "POST /threads/{thread_id}/runs/wait": CREATE,
    "GET /threads/{thread_id}/runs": None,
    "GET /threads/{thread_id}/stream": None,
    "GET /threads/{thread_id}/messages": None,
    "POST /runs/batch": [{"assistant_id": "echo", "thread_id": "{thread_id}"}],
    "POST /runs/cancel": {"thread_id": "{thread_id}", "run_ids": ["{run_id}"]},
    "POST /runs/search": {"ids": ["{run_id}"]},
    "POST /runs/count": {"ids": ["{run_id}"]},
    "GET /runs/{run_id}/stream": None,
    f"GET {RUN}": None,
    f"DELETE {RUN}": None,
    f"GET {RUN}/stream": None,
    f"GET {RUN}/join": None,
    f"POST {RUN}/cancel": None,
    f"GET {RUN}/events": None,
    f"GET {RUN}/webhook": None,
    f"GET {RUN}/messages": None,
    f"GET {RUN}/events.jsonl": None,
    f"POST {RUN}/events": {"event": "custom", "data": 1},
}
NEED_NOT = {
    "GET /ok": "about the process",
    "GET /info": "about the process",
    "GET /livez": "about the process",
    "GET /readyz": "about the process",
    "GET /asyncapi.json": "about the process",
    "POST /assistants": "ids are everybody's: a taken one is 409",
    "PATCH /assistants/{assistant_id}": "tested in test_made_assistants.py",
    "DELETE /assistants/{assistant_id}": "likewise",
    "POST /assistants/{assistant_id}/versions": "likewise",
    "POST /assistants/{assistant_id}/latest": "likewise",
    "POST /assistants/search": "likewise",
    "POST /assistants/count": "likewise",
    "GET /assistants/{assistant_id}": "likewise",
    "GET /assistants/{assistant_id}/schemas": "about the graph, which is everybody's",
    "GET /assistants/{assistant_id}/graph": "about the graph, which is everybody's",
    "GET /assistants/{assistant_id}/subgraphs": "about the graph, which is everybody's",
    "GET /assistants/{assistant_id}/subgraphs/{namespace}": "about the graph, which is everybody's",
    "GET /store/items": "everybody has items of their own, tested in test_items_http.py",
    "PUT /store/items": "likewise",
    "DELETE /store/items": "likewise",
    "POST /store/items/search": "likewise",
    "POST /store/namespaces": "likewise",
    "POST /threads": "ids are everybody's: a taken one is 409, tested below",
    "POST /runs": "makes a thread of its own",
    "POST /runs/stream": "makes a thread of its own",
    "POST /runs/wait": "makes a thread of its own",
}


async def test_every_route_is_asked_by_two_users(gateway):
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in gateway.app.router.routes()
        if route.method != "HEAD"
    }
    assert served == ROUTES.keys() | NEED_NOT.keys()


def filled(value, ids):
    if isinstance(value, str):
        return value.format(**ids)
    if isinstance(value, list):
        return [filled(each, ids) for each in value]
    if isinstance(value, dict):
        return {name: filled(inner, ids) for name, inner in value.items()}
    return value


async def ask(http, route, run, user):
    """Return the status and, when the answer comes at once and whole, what it says."""
    ids = {"thread_id": run[0], "run_id": run[1], "checkpoint_id": "none"}
    method, path = route.split(" ")
    query = {"subscription": "mine"} if path == "/threads/{thread_id}/stream" else {}
    options = {"params": query, "headers": user, "json": filled(ROUTES[route], ids)}
    async with http.request(method, filled(path, ids), **options) as answer:
        try:
            async with asyncio.timeout(0.5):
                said = await answer.text()
        except TimeoutError:
            return answer.status, "goes on"
        return answer.status, said.replace(run[0], "THREAD").replace(run[1], "RUN")


async def stored(bridge, run):
    records = [
        await bridge.states.find(kind, key)
        for kind, key in zip(["thread", "run"], run, strict=True)
    ]
    return [each and each.revision for each in records], await bridge.last_sequence()


async def test_asking_for_another_users_run_is_asking_for_nothing(gateway, http, hers):
    before = await stored(gateway.bridge, hers)
    for route in ROUTES:
        about_hers = await ask(http, route, hers, HIM)
        assert about_hers == await ask(http, route, (new_id(), new_id()), HIM), route
        assert await stored(gateway.bridge, hers) == before, route


async def test_asking_for_ones_own_run_finds_it(http):
    for route in ROUTES:
        own = await ask(http, route, await new_run(http, HER), HER)
        assert own != await ask(http, route, (new_id(), new_id()), HER), route


async def test_stopping_all_runs_stops_ones_own_only(http, hers):
    his = await new_run(http, HIM)
    async with http.post("/runs/cancel", json={"status": "all"}, headers=HIM) as answer:
        assert answer.status == 204
    for run, user, status in [(his, HIM, "interrupted"), (hers, HER, "pending")]:
        async with http.get(
            filled(RUN, dict(zip(["thread_id", "run_id"], run, strict=True))), headers=user
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
    run = made["thread_id"], made["run_id"]
    assert (await ask(http, f"GET {RUN}", run, HIM))[0] == 404
    assert (await ask(http, f"GET {RUN}", run, HER))[0] == 200


def test_a_request_that_nobody_identified_is_refused_not_opened():
    with pytest.raises(KeyError):
        user_of({})
