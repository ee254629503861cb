"""Every route of the gateway and a request for it; one that is added must be entered here."""

import asyncio

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
    "POST /threads/{thread_id}/commands": {
        "id": 1,
        "method": "input.respond",
        "params": {"interrupt_id": "{run_id}", "response": 1},
    },
    "POST /threads/{thread_id}/stream/events": {"channels": ["lifecycle"]},
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
    "POST /runs/statuses/count": {"ids": ["{run_id}"]},
    "GET /runs/{run_id}/stream": None,
    "POST /threads/{thread_id}/runs/crons": {**CREATE, "schedule": "0 9 * * *"},
    "GET /runs/crons/{cron_id}": None,
    "PATCH /runs/crons/{cron_id}": {"enabled": False},
    "DELETE /runs/crons/{cron_id}": None,
    "POST /runs/crons/search": {"thread_id": "{thread_id}", "select": ["assistant_id"]},
    "POST /runs/crons/count": {"thread_id": "{thread_id}"},
    f"GET {RUN}": None,
    f"DELETE {RUN}": None,
    f"GET {RUN}/stream": None,
    f"GET {RUN}/join": None,
    f"POST {RUN}/cancel": None,
    f"GET {RUN}/events": None,
    f"GET {RUN}/archive": None,
    f"GET {RUN}/input": None,
    f"POST {RUN}/again": None,
    f"GET {RUN}/webhook": None,
    f"POST {RUN}/token": None,
    f"GET {RUN}/messages": None,
    f"GET {RUN}/events.jsonl": None,
    f"POST {RUN}/events": {"event": "custom", "data": 1},
}
#: Asked by two users in vain: what they tell is nobody's.
NEED_NOT = {
    "GET /ok": "about the process",
    "GET /info": "about the process",
    "GET /livez": "about the process",
    "GET /readyz": "about the process",
    "GET /doctor": "for operators, tested in test_doctor.py",
    "GET /system": "about the process, and 403 for users",
    "GET /console": "a page without a user",
    "GET /console/{path}": "likewise",
    "GET /metrics": "for operators, tested in test_gateway_metrics.py",
    "GET /asyncapi.json": "about the process",
    "GET /openapi.json": "about the process",
    "GET /docs": "about the process",
    "GET /store/items": "everybody has items of their own, tested in test_items_http.py",
    "PUT /store/items": "likewise",
    "DELETE /store/items": "likewise",
    "POST /store/items/search": "likewise",
    "POST /store/namespaces": "likewise",
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
    "POST /threads": "ids are everybody's: a taken one is 409, tested below",
    "POST /runs": "makes a thread of its own",
    "POST /runs/stream": "makes a thread of its own",
    "POST /runs/crons": "has no thread; its cron is asked for by its id",
    "POST /runs/wait": "makes a thread of its own",
}
#: What else paths name.
NAMES = {"cron_id": "none", "assistant_id": "echo", "checkpoint_id": "none", "namespace": "none"}
NAMES |= {"path": "main.js"}


def served(app):
    return {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.method != "HEAD"
    }


def filled(value, ids):
    if isinstance(value, str):
        return value.format(**ids)
    if isinstance(value, list):
        return [filled(each, ids) for each in value]
    if isinstance(value, dict):
        return {name: filled(inner, ids) for name, inner in value.items()}
    return value


async def ask(http, route, run, user):
    """Send the request of a route about a run, with the headers of a user.

    A run is given by the ids of its thread, itself and, where there is one, a cron on its thread.

    Return the status and, when the answer comes at once and whole, what it says.
    """
    of_run = dict(zip(("thread_id", "run_id", "cron_id"), run, strict=False))
    ids = {**NAMES, **of_run}
    method, path = route.split(" ")
    headers = {**user, "X-Request-Id": "asked"}  # what a problem says depends on nothing else
    options = {"headers": headers, "json": filled(ROUTES.get(route), ids)}
    async with http.request(method, filled(path, ids), **options) as answer:
        try:
            async with asyncio.timeout(0.5):
                said = await answer.text()
        except TimeoutError:
            return answer.status, "goes on"
        for name, value in of_run.items():
            said = said.replace(value, name)
        return answer.status, said
