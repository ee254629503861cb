"""The SDK's hook on a page of another origin: it submits, stops, and joins again."""

import pytest
from cutting_proxy import CuttingProxy

pytestmark = pytest.mark.usefixtures("worker")

SLOWLY = {"events": 60, "delay_s": 0.05, "event": "custom", "values": {"answer": 42}}


async def test_a_run_is_submitted_and_its_events_and_values_are_shown(open_page):
    page = await open_page({**SLOWLY, "delay_s": 0})
    await page.press("submit")
    await page.shows("values", '{"answer":42}')
    await page.shows("loading", "false")
    assert await page.numbers() == list(range(1, 61))
    assert await page.read("error") == ""


async def test_the_failure_of_a_run_is_shown(open_page):
    page = await open_page({"fail": "broken"})
    await page.press("submit")
    await page.shows("error", "broken")
    await page.shows("loading", "false")


async def test_a_run_is_stopped(open_page, http, eventually):
    page = await open_page({"events": 1000, "delay_s": 0.05, "event": "custom"})
    await page.press("submit")
    await page.has_seen(3)
    await page.press("stop")
    await page.shows("loading", "false")

    async def is_interrupted():
        async with http.get(f"/threads/{page.thread_id}/runs") as answer:
            return [run["status"] for run in await answer.json()] == ["interrupted"]

    await eventually(is_interrupted, within_s=5)


async def test_a_reloaded_page_rejoins_the_run_and_misses_nothing(open_page):
    page = await open_page(SLOWLY)
    await page.press("submit")
    await page.has_seen(5)
    await page.reload()
    await page.shows("values", '{"answer":42}')
    await page.shows("loading", "false")
    assert await page.numbers() == list(range(1, 61))


async def test_a_page_opened_after_the_end_shows_the_state(open_page):
    page = await open_page({**SLOWLY, "delay_s": 0})
    await page.press("submit")
    await page.shows("values", '{"answer":42}')
    await page.shows("loading", "false")
    await page.reload()
    await page.shows("values", '{"answer":42}')


async def test_a_page_rejoins_after_the_gateway_was_restarted(open_page, killable):
    page = await open_page(SLOWLY, api=killable.url)
    await page.press("submit")
    await page.has_seen(5)
    await killable.kill()
    await killable.start()
    await page.reload()
    await page.shows("values", '{"answer":42}')
    assert await page.numbers() == list(range(1, 61))


@pytest.mark.parametrize("sdk", ["sdk-1.15.0"])
async def test_a_page_goes_on_by_itself_when_the_gateway_was_killed_and_restarted(
    open_page, killable
):
    page = await open_page(SLOWLY, api=killable.url)
    await page.press("submit")
    await page.has_seen(5)
    await killable.kill()
    await killable.start()
    await page.shows("values", '{"answer":42}')
    await page.shows("loading", "false")
    assert await page.numbers() == list(range(1, 61))


async def test_a_page_goes_on_by_itself_when_another_gateway_takes_over(
    open_page, killable, site, start_gateway
):
    # npm 2.0.0 gives up when its port refuses a connection: something must stand before gateways.
    other = await start_gateway(cors_origins=(site,))
    async with CuttingProxy(killable.url) as proxy:
        page = await open_page(SLOWLY, api=proxy.url)
        await page.press("submit")
        await page.has_seen(5)
        proxy.target = other.url
        await killable.kill()
        await page.shows("values", '{"answer":42}')
        await page.shows("loading", "false")
        assert await page.numbers() == list(range(1, 61))
