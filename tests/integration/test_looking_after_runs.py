"""What is asked about runs by whoever looks after them: counts, inputs, tiers, the system."""

import pytest
from archiving import sinking
from named_users import USER, authenticate

from bridge import RetentionSettings


async def asked(http, path, body=None):
    method = "GET" if body is None else "POST"
    async with http.request(method, path, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_runs_are_counted_by_status_as_a_search_finds_them(gateway, http, wire):
    runs = [await wire.create_run(gateway, http, metadata={"case": n}) for n in range(3)]
    async with http.post(f"{runs[0].path}/cancel"):
        pass
    counts = await asked(http, "/runs/statuses/count", {})
    zeros = dict.fromkeys(("running", "success", "error", "timeout"), 0)
    assert counts == {"pending": 2, "interrupted": 1, **zeros}
    counts = await asked(http, "/runs/statuses/count", {"metadata": {"case": 1}})
    assert sum(counts.values()) == counts["pending"] == 1


async def test_a_user_finds_its_own_runs_whoever_it_asks_for(start_gateway, new_session):
    gateway = await start_gateway(authenticate)
    http = await new_session(gateway.url)
    for user in ("her", "him"):
        async with http.post(
            "/runs", json={"assistant_id": "echo"}, headers={USER: user}
        ) as answer:
            assert answer.status == 200
    found = {}
    for user in ("her", None):
        for wanted in ("her", "him", None):
            body = {} if wanted is None else {"user_id": wanted}
            headers = {} if user is None else {USER: user}
            async with http.post("/runs/search", json=body, headers=headers) as answer:
                found[user, wanted] = sorted(run["user_id"] for run in await answer.json())
    assert found == {
        ("her", "her"): ["her"],
        ("her", "him"): [],
        ("her", None): ["her"],
        (None, "her"): ["her"],
        (None, "him"): ["him"],
        (None, None): ["her", "him"],
    }


async def test_a_run_is_given_the_same_again_in_its_thread_or_in_one_of_its_own(
    gateway, http, wire
):
    body = {"input": {"a": 1}, "config": {"configurable": {"token": "kept"}}, "metadata": {"m": 1}}
    in_thread = await wire.create_run(gateway, http, **body)
    alone = await asked(http, "/runs", {"assistant_id": "echo", **body})
    for thread_id, run_id in (
        (in_thread.thread_id, in_thread.run_id),
        (alone["thread_id"], alone["run_id"]),
    ):
        path = f"/threads/{thread_id}/runs/{run_id}"
        assert await asked(http, f"{path}/input") == {"input": {"a": 1}, "command": None}
        made = await asked(http, f"{path}/again", {})
        assert (made["thread_id"] == thread_id) == (thread_id == in_thread.thread_id)
        first = await gateway.facade.get_run(thread_id, run_id)
        record = await gateway.facade.get_run(made["thread_id"], made["run_id"])
        assert (record.kwargs, record.metadata) == (first.kwargs, {"m": 1})
        assert record.on_completion == first.on_completion


async def test_a_repeat_with_one_key_makes_one_run(http, open_run):
    made = set()
    for _ in range(2):
        headers = {"Idempotency-Key": "again-1"}
        async with http.post(f"{open_run.path}/again", headers=headers) as answer:
            made.add((await answer.json())["run_id"])
    assert len(made) == 1


async def test_records_of_one_category_are_listed(http, open_run):
    for number in range(3):
        await open_run.publish("text", number, category="message")
        await open_run.publish("other", number)
    page = await asked(http, f"{open_run.path}/events?category=message&before_seq=999999&limit=2")
    assert [each["content"] for each in page["data"]] == [1, 2]
    assert page["has_more"] is True
    page = await asked(http, f"{open_run.path}/events?category=message&event_type=other")
    assert page == {"data": [], "has_more": False}


async def test_log_and_archive_are_told_apart(gateway, http, open_run, archive):
    for number in range(9):
        await open_run.publish("step", number)
    path = f"{open_run.path}/archive"
    facts = {"logged_from": 1, "logged_to": 10, "archived_to": 0, "behind": 10}
    assert await asked(http, path) == facts
    await archive(open_run)
    assert await asked(http, path) == {**facts, "archived_to": 10, "behind": 0}
    await gateway.bridge.trim(open_run.run_id, keep=4)
    await open_run.publish("step", 9)
    told = await asked(http, path)
    assert told["logged_from"] > 1
    assert (told["logged_to"], told["behind"]) == (11, 1)


@pytest.mark.usefixtures("worker")
async def test_the_system_is_told_as_it_is(http, settings, eventually):
    async with sinking(settings):
        await eventually(lambda: _has_sink(http))
        state = await asked(http, "/system")
    assert {each["name"] for each in state["streams"]} >= {"JETRUN_EVENTS", "JETRUN_STATE"}
    assert state["archive"]["state"] == "archiving"
    assert state["retention"] == RetentionSettings().model_dump()

    async def is_served():
        queues = (await asked(http, "/system"))["queues"]
        return any(each["executor"] == "echo" and each["asking"] for each in queues)

    await eventually(is_served, within_s=20)


async def _has_sink(http):
    return (await asked(http, "/system"))["archive"] is not None
