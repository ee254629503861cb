"""Crons through the platform's unmodified SDKs: whatever dies, each firing creates one run."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from gateway_process import GatewayProcess
from langgraph_sdk import get_client
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError

EVERY_SECOND = "* * * * * *"
NINE = "0 9 * * *"
CRON_FIELDS = {
    "cron_id",
    "assistant_id",
    "thread_id",
    "on_run_completed",
    "end_time",
    "schedule",
    "timezone",
    "created_at",
    "updated_at",
    "payload",
    "user_id",
    "next_run_date",
    "metadata",
    "enabled",
}


@pytest.fixture
def settings(settings):
    limits = settings.runs.model_copy(update={"min_cron_interval_s": 1.0, "stale_s": 1.0})
    return settings.model_copy(update={"runs": limits})


@pytest.fixture
async def client(gateway):
    async with get_client(url=gateway.url, api_key=None) as opened:
        yield opened


@pytest.fixture
async def thread_id(client):
    return (await client.threads.create())["thread_id"]


async def runs_of(http, cron):
    body = {"metadata": {"cron_id": cron["cron_id"]}, "limit": 1000}
    async with http.post("/runs/search", json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def dates_of(runs):
    return sorted(run["metadata"]["cron_run_date"] for run in runs)


async def test_a_cron_is_created_shown_changed_and_deleted(client):
    cron = await client.crons.create(
        "echo",
        schedule=NINE,
        timezone="America/New_York",
        input={"n": 1},
        metadata={"name": "daily"},
        config={"tags": ["a"]},
        stream_mode=["values", "updates"],
        on_run_completed="keep",
        end_time=datetime(2999, 1, 1),  # noqa: DTZ001 - what users write
    )
    assert cron.keys() == CRON_FIELDS
    assert (cron["schedule"], cron["timezone"]) == (NINE, "America/New_York")
    assert (cron["thread_id"], cron["on_run_completed"], cron["enabled"]) == (None, "keep", True)
    assert cron["metadata"] == {"name": "daily"}
    assert cron["end_time"] == "2999-01-01T00:00:00+00:00"
    assert datetime.fromisoformat(cron["next_run_date"]).hour in (13, 14)
    assert cron["payload"]["input"] == {"n": 1}
    assert cron["payload"]["stream_mode"] == ["values", "updates"]
    changed = await client.crons.update(
        cron["cron_id"], schedule="0 10 * * *", timezone="UTC", end_time=None, input={"n": 2}
    )
    assert datetime.fromisoformat(changed["next_run_date"]).hour == 10
    assert (changed["end_time"], changed["payload"]["input"]) == (None, {"n": 2})
    assert changed["metadata"] == {"name": "daily"}
    disabled = await client.crons.update(cron["cron_id"], enabled=False)
    assert (disabled["enabled"], disabled["next_run_date"]) == (False, None)
    assert disabled["schedule"] == "0 10 * * *"
    await client.crons.delete(cron["cron_id"])
    with pytest.raises(NotFoundError):
        await client.crons.delete(cron["cron_id"])
    with pytest.raises(NotFoundError):
        await client.crons.update(cron["cron_id"], enabled=True)


async def test_crons_are_searched_and_counted(client, thread_id):
    daily = await client.crons.create("echo", schedule=NINE, metadata={"a": 1})
    own = await client.crons.create_for_thread(thread_id, "echo", schedule=NINE, enabled=False)
    assert own["thread_id"] == thread_id
    found = await client.crons.search(sort_by="created_at", sort_order="asc")
    assert [each["cron_id"] for each in found] == [daily["cron_id"], own["cron_id"]]
    assert found[0].items() >= daily.items()
    assert await client.crons.count() == await client.crons.count(assistant_id="echo") == 2
    assert await client.crons.count(metadata={"a": 1}) == 1
    assert await client.crons.count(thread_id=thread_id) == 1
    (shown,) = await client.crons.search(enabled=False, select=["cron_id", "enabled"])
    assert shown == {"cron_id": own["cron_id"], "enabled": False}
    (second,) = await client.crons.search(limit=1, offset=1)
    assert second["cron_id"] == daily["cron_id"]
    await client.threads.delete(thread_id)
    assert [each["cron_id"] for each in await client.crons.search()] == [daily["cron_id"]]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("schedule", {"schedule": "every day"}),
        ("schedule", {"schedule": "0 0 31 2 *"}),
        ("timezone", {"timezone": "Mars/Olympus"}),
        ("on_run_completed", {"on_run_completed": "forget"}),
        ("interrupt_before", {"interrupt_before": ["a"]}),
        ("webhook", {"webhook": "nowhere"}),
    ],
)
async def test_what_cannot_be_is_422_that_names_the_field(client, field, options):
    with pytest.raises(UnprocessableEntityError, match=field):
        await client.crons.create("echo", **{"schedule": NINE, **options})
    assert await client.crons.count() == 0


async def test_unknown_assistants_and_threads_are_404(client):
    with pytest.raises(NotFoundError):
        await client.crons.create("nobody", schedule=NINE)
    with pytest.raises(NotFoundError):
        await client.crons.create_for_thread("nowhere", "echo", schedule=NINE)


@pytest.mark.usefixtures("worker")
async def test_each_firing_is_a_run_of_the_thread(client, thread_id, http, eventually):
    cron = await client.crons.create_for_thread(
        thread_id, "echo", schedule=EVERY_SECOND, input={"n": 7}
    )

    async def two_have_succeeded():
        runs = await client.runs.list(thread_id, status="success")
        return len(runs) >= 2

    await eventually(two_have_succeeded, within_s=30)
    await client.crons.delete(cron["cron_id"])
    runs = await runs_of(http, cron)
    dates = dates_of(runs)
    assert {run["thread_id"] for run in runs} == {thread_id}
    assert dates[0] == cron["next_run_date"]
    assert len(set(dates)) == len(dates)
    assert (await client.threads.get_state(thread_id))["values"]["n"] == 7


@pytest.mark.parametrize(("on_run_completed", "is_kept"), [("delete", False), ("keep", True)])
async def test_runs_without_a_thread_have_one_each_that_goes_or_stays(
    client, gateway, http, eventually, on_run_completed, is_kept
):
    cron = await client.crons.create(
        "echo", schedule=EVERY_SECOND, on_run_completed=on_run_completed
    )

    async def two_runs():
        runs = await runs_of(http, cron)
        return runs if len(runs) >= 2 else None

    runs = await eventually(two_runs, within_s=20)
    threads = {run["thread_id"] for run in runs}
    assert len(threads) == len(runs)
    for thread_id in threads:
        assert (await gateway.facade.get_thread(thread_id)).temporary is not is_kept


def seconds_between(dates):
    instants = [datetime.fromisoformat(each) for each in dates]
    return [(late - early).total_seconds() for early, late in pairwise(instants)]


async def test_gateways_killed_around_firings_lose_and_repeat_none(
    settings, new_session, eventually
):
    async with GatewayProcess(settings) as first, GatewayProcess(settings) as second:
        http = await new_session(first.url)
        async with get_client(url=first.url, api_key=None) as client:
            cron = await client.crons.create("echo", schedule=EVERY_SECOND, on_run_completed="keep")
        for killed in (second, first):
            await asyncio.sleep(0.7)  # into the middle of whatever is done about a firing
            await killed.kill()
            await killed.start()
        count = len(await runs_of(http, cron))

        async def goes_on():
            return len(await runs_of(http, cron)) >= count + 2

        await eventually(goes_on, within_s=60)
        dates = dates_of(await runs_of(http, cron))
    assert dates[0] == cron["next_run_date"]
    assert min(seconds_between(dates)) >= 1, "a firing created two runs"


async def test_after_the_end_of_every_process_a_cron_catches_up_with_one_run(
    settings, server, new_session, eventually
):
    async with GatewayProcess(settings) as gateway:
        http = await new_session(gateway.url)
        async with get_client(url=gateway.url, api_key=None) as client:
            cron = await client.crons.create("echo", schedule=EVERY_SECOND, on_run_completed="keep")
            await gateway.kill()
            await server.kill()
            await asyncio.sleep(2.5)  # at least two times are missed
            await server.restart()
            back = datetime.now(UTC)
            await gateway.start()

            async def goes_on():
                return len(await runs_of(http, cron)) >= 3

            await eventually(goes_on, within_s=60)
            dates = dates_of(await runs_of(http, cron))
    missed = [each for each in dates if datetime.fromisoformat(each) <= back]
    assert missed[0] == cron["next_run_date"]
    assert len(missed) <= 2, "one before the end, and one to catch up with"
    assert len(set(dates)) == len(dates)


async def test_the_npm_sdk_creates_finds_and_deletes_crons(open_js, gateway):
    js = await open_js("sdk-1.15.0", gateway.url)
    thread_id = (await js.call("threads.create", {}))["thread_id"]
    end_time = (datetime.now(UTC) + timedelta(days=900)).isoformat()
    payload = {"schedule": NINE, "input": {"n": 1}, "timezone": "Europe/Berlin"}
    cron = await js.call(
        "crons.create", "echo", {**payload, "endTime": end_time, "onRunCompleted": "keep"}
    )
    assert (cron["schedule"], cron["timezone"]) == (NINE, "Europe/Berlin")
    assert (cron["end_time"], cron["on_run_completed"]) == (end_time, "keep")
    own = await js.call("crons.createForThread", thread_id, "echo", payload)
    assert own["thread_id"] == thread_id
    found = await js.call("crons.search", {"sortBy": "created_at", "sortOrder": "asc"})
    assert [each["cron_id"] for each in found] == [cron["cron_id"], own["cron_id"]]
    changed = await js.call("crons.update", cron["cron_id"], {"endTime": None, "enabled": False})
    assert (changed["end_time"], changed["enabled"]) == (None, False)
    assert await js.call("crons.count", {"threadId": thread_id}) == 1
    for each in (cron, own):
        await js.call("crons.delete", each["cron_id"])
    assert await js.call("crons.search") == []
