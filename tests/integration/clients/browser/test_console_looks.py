"""Every page of the console, at every size and in both themes, has no serious fault."""

import pytest

from api.auth.settings import AuthSettings

PHONE = {"viewport": {"width": 375, "height": 740}, "has_touch": True}
LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"color_scheme": "light", **PHONE},
}


@pytest.fixture
async def places(gateway, http, open_run, wire):
    """Places of the console, and what is seen there once it is all there."""
    failed = await wire.create_run(gateway, http, metadata={"case": "C-17"})
    usage = {"usage": {"input_tokens": 10, "output_tokens": 3}}
    await failed.publish("custom", {"n": 1, **usage}, category="message")
    await gateway.bridge.begin_attempt(failed.run_id, 2)
    await failed.end("error", {"status": "error", "error": {"error": "Oops", "message": "no"}})
    for number in range(20):
        await open_run.publish("step", {"n": number})
    await gateway.bridge.trim(open_run.run_id, keep=6)
    run = f"threads/{open_run.thread_id}/runs/{open_run.run_id}"
    return {
        "runs": ".run-row .status",
        "runs?text=nothing": ".empty h2",
        run: ".hole",
        f"{run}?view=raw": ".event .json",
        f"{run}?tab=input": "run-document .json",
        f"{run}?tab=reconnect": "reconnect-lab form",
        f"threads/{failed.thread_id}/runs/{failed.run_id}": ".event.begins",
        "system": ".system table",
    }


@pytest.mark.parametrize("look", LOOKS)
async def test_nothing_serious_is_wrong_with_any_page(console, places, look):
    page = await console(**LOOKS[look])
    for place, seen in places.items():
        await page.page.evaluate("(place) => { location.hash = `#/${place}` }", place)
        await page.sees(seen)
        assert await page.faults() == [], place
        assert await page.overflow() == 0, place


async def test_nothing_serious_is_wrong_with_the_sign_in(open_console, start_gateway):
    gateway = await start_gateway(auth=AuthSettings(methods=("api-key",)))
    page = await open_console(gateway.url, **LOOKS["phone"])
    await page.sees("sign-in form")
    assert await page.faults() == []
    assert await page.overflow() == 0


async def test_the_theme_can_be_chosen_and_is_kept(console):
    page = await console(color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.page.evaluate(ground)
    for _ in range(2):
        await page.page.get_by_role("button", name="Theme").click()
    dark = await page.page.evaluate(ground)
    assert dark != light
    await page.page.reload()
    await page.sees("h1", "Runs")
    assert await page.page.evaluate(ground) == dark
