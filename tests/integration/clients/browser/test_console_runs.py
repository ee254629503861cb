"""The list of runs in a real browser: filters, counts, cancelling many, sign-in."""

import pytest

from api.auth.api_keys import ApiKeyGrant, ApiKeys
from api.auth.caller import USUAL_SCOPES, Role
from api.auth.settings import AuthSettings

ROWS = "run-list .run-row:not(.unread)"


async def make_runs(gateway, http, wire, count, **body):
    return [await wire.create_run(gateway, http, **body) for _ in range(count)]


def grant_of(user):
    return ApiKeyGrant(
        name=user, user_id=user, role=Role.USER, scopes=USUAL_SCOPES, expires_at=None
    )


async def status_of(http, run):
    async with http.get(run.path) as answer:
        return (await answer.json())["status"]


@pytest.mark.usefixtures("worker")
async def test_a_first_visitor_starts_a_sample_run_watches_it_and_stops_it(console):
    page = await console()
    await page.sees("h2", "No runs yet")
    await page.press("Start a sample run")
    await page.sees(".event[data-event=echo]")
    await page.sees(".connection", "live")
    await page.press("Cancel run")
    await page.page.locator("dialog").get_by_role("button", name="Cancel run").click()
    await page.sees(".run-status", "interrupted")
    await page.sees(".event[data-event=cancel]")


async def test_filters_are_kept_in_the_address_and_counted(console, gateway, http, wire):
    ended = await wire.create_run(gateway, http, metadata={"case": "C-17"})
    await make_runs(gateway, http, wire, 2, metadata={"case": "C-18"})
    async with http.post(f"{ended.path}/cancel") as answer:
        assert answer.status == 202
    page = await console("runs")
    await page.sees_count(ROWS, 3)
    assert [" ".join(each.split()) for each in await page.texts(".chip")][::5] == [
        "○ pending 2",
        "■ interrupted 1",
    ]
    await page.press("interrupted")
    await page.sees_count(ROWS, 1)
    await page.page.get_by_label("Search").fill("c-17")
    await page.sees(".total", "1 that fit")
    await page.page.wait_for_url("**/console/#/runs?status=interrupted&text=c-17")
    await page.page.reload()
    await page.sees(f'{ROWS}[data-run="{ended.run_id}"]')
    await page.page.get_by_label("Search").fill("C-19")
    await page.sees("h2", "No run fits")
    await page.press("Clear filters")
    await page.sees_count(ROWS, 3)
    assert page.place == "/runs"


async def test_a_column_sorts_both_ways(console, gateway, http, wire):
    runs = await make_runs(gateway, http, wire, 3)
    page = await console("runs")
    for direction in (reversed(runs), runs):
        if direction is runs:
            await page.press("Created")
        await page.sees_count(ROWS, 3)
        wanted = [run.run_id for run in direction]
        await page.page.wait_for_function(
            "(wanted) => JSON.stringify([...document.querySelectorAll('.run-row')]"
            ".map((row) => row.dataset.run)) === JSON.stringify(wanted)",
            arg=wanted,
        )


async def test_many_runs_are_cancelled_after_a_question(console, gateway, http, wire, eventually):
    chosen = await make_runs(gateway, http, wire, 3, metadata={"case": "stop"})
    other = await wire.create_run(gateway, http)
    page = await console("runs?text=stop")
    await page.sees_count(ROWS, 3)
    await page.page.get_by_label("Select all runs under way that fit").check()
    await page.press("Cancel 3")
    await page.sees("dialog h2", "Cancel 3 runs?")
    await page.page.locator("dialog").get_by_role("button", name="Cancel 3 runs").click()
    await page.sees(".notice", "3 runs cancelled.")

    async def stopped():
        return {await status_of(http, run) for run in chosen} == {"interrupted"}

    await eventually(stopped)
    assert await status_of(http, other) == "pending"
    await page.sees(f"{ROWS} [data-status=interrupted]")


async def test_a_long_list_has_elements_for_what_is_in_sight_alone(console, http):
    bodies = [{"assistant_id": "echo"}] * 100
    for _ in range(3):
        async with http.post("/runs/batch", json=bodies) as answer:
            assert answer.status == 200
    page = await console("runs?sort=run_id&order=asc")
    await page.sees(".total", "300")
    assert await page.page.locator(".run-row").count() < 60
    await page.page.locator("run-list").evaluate("(list) => { list.scrollTop = list.scrollHeight }")
    await page.sees(f'{ROWS}[aria-rowindex="301"]')
    assert await page.page.locator(".run-row").count() < 60


async def test_everything_is_reached_by_the_keyboard(console, gateway, http, wire):
    runs = await make_runs(gateway, http, wire, 3)
    page = await console("runs")
    await page.sees_count(ROWS, 3)
    keyboard = page.page.keyboard
    for _ in range(40):
        await keyboard.press("Tab")
        if await page.page.evaluate("document.activeElement.closest('.run-row') !== null"):
            break
    await keyboard.press("ArrowDown")
    await keyboard.press("Space")
    await page.sees(".actions", "1 run selected")
    await keyboard.press("End")
    await keyboard.press("Enter")
    await page.sees("h1", runs[0].run_id[:8])
    await page.sees(".event")
    for _ in range(40):
        await keyboard.press("Tab")
        if await page.page.evaluate("document.activeElement.matches('.event-line')"):
            break
    await keyboard.press("Enter")
    await page.sees('.event-line[aria-expanded="true"]')
    await page.sees(".details pre", runs[0].run_id)


async def test_a_page_asks_no_more_often_than_every_five_seconds(console, gateway, http, wire):
    await wire.create_run(gateway, http)
    page = await console()
    await page.page.clock.install()
    await page.page.reload()
    await page.sees_count(ROWS, 1)
    await page.sees(".freshness", "as of")
    asked = []
    page.page.on("request", lambda request: asked.append(request.url.rpartition("/runs/")[2]))
    began_ms = await page.page.evaluate("Date.now()")
    for _ in range(30):
        await page.page.clock.run_for(1000)
    passed_s = (await page.page.evaluate("Date.now()") - began_ms) / 1000
    for question in ("search", "statuses/count"):
        assert 2 <= asked.count(question) <= passed_s / 5 + 1
    assert len(asked) == asked.count("search") + asked.count("statuses/count")


async def test_the_page_asks_for_a_credential_and_shows_what_is_its_users(
    open_console, start_gateway, new_session, wire
):
    gateway = await start_gateway(auth=AuthSettings(methods=("api-key",)))
    keys = ApiKeys(gateway.bridge)
    her, him = [await keys.create(grant_of(user)) for user in ("her", "him")]
    http = await new_session(gateway.url)
    http.headers["x-api-key"] = str(her)
    hers = await wire.create_run(gateway, http)
    http.headers["x-api-key"] = str(him)
    await wire.create_run(gateway, http)
    page = await open_console(gateway.url, "runs")
    await page.page.get_by_label("API key or token").fill("jrk_0000000000000000_nonsense")
    await page.press("Sign in")
    await page.sees("[role=alert]", "the credential is refused")
    await page.page.get_by_label("API key or token").fill(str(her))
    await page.page.get_by_label("Keep until this tab is closed").check()
    await page.press("Sign in")
    await page.sees(f'{ROWS}[data-run="{hers.run_id}"]')
    await page.sees_count(ROWS, 1)
    assert await page.page.get_by_role("link", name="System").count() == 0
    await page.page.reload()
    await page.sees_count(ROWS, 1)
    await page.page.goto(f"{gateway.url}/console/#/threads/{hers.thread_id}/runs/{hers.run_id}")
    await page.sees(".event")
    await page.press("Sign out")
    await page.sees("h1", "Sign in")
    assert await page.page.evaluate("sessionStorage.length") == 0
