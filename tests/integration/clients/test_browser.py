"""Pages in a real browser: the SDK's hook, and the browser's own EventSource, cross-origin."""

import json
from contextlib import AsyncExitStack
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from browser import PAGES, bundle, serve_files
from cutting_proxy import CuttingProxy
from gateway_process import GatewayProcess

pytestmark = pytest.mark.usefixtures("worker")

SLOWLY = {"events": 60, "delay_s": 0.05, "event": "custom", "values": {"answer": 42}}


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Directories of pages by the version of the SDK that they were built with."""
    built = {}

    def directory(sdk):
        if sdk not in built:
            built[sdk] = tmp_path_factory.mktemp(sdk)
            bundle(sdk, built[sdk])
        return built[sdk]

    return directory


@pytest.fixture
async def site(sdk, pages):
    """The URL of a site whose page was built with one version of the SDK."""
    async with serve_files(pages(sdk)) as url:
        yield url


@pytest.fixture
async def api(settings, site):
    """A gateway process that lets the site's pages call it."""
    async with GatewayProcess(settings, cors_origins=(site,)) as process:
        yield process


class ThreadPage:
    """What a person does on the page, and sees."""

    def __init__(self, page):
        self._page = page

    async def press(self, name):
        await self._page.click(f"#{name}")

    async def read(self, name):
        return await self._page.text_content(f"#{name}")

    async def shows(self, name, text):
        """Return when the element holds the text."""
        await self._page.wait_for_function(
            "([id, text]) => document.getElementById(id)?.textContent === text",
            arg=[name, text],
            timeout=30_000,
        )

    async def has_seen(self, count):
        """Return when so many events were seen."""
        await self._page.wait_for_function(
            "(count) => document.getElementById('numbers')?.textContent.split(' ').length >= count",
            arg=count,
            timeout=30_000,
        )

    async def numbers(self):
        return [int(number) for number in (await self.read("numbers")).split()]

    @property
    def thread_id(self):
        return parse_qs(urlsplit(self._page.url).query)["thread"][0]

    async def reload(self):
        await self._page.reload()
        await self._page.wait_for_selector("#submit")


@pytest.fixture
async def open_page(browser, site, api):
    """Open the page for an input: ``await open_page({"events": 3})``."""
    async with AsyncExitStack() as stack:

        async def opened(given, **query):
            page = await browser.new_page()
            stack.push_async_callback(page.close)
            query = urlencode({"api": api.url, "input": json.dumps(given), **query})
            await page.goto(f"{site}/index.html?{query}")
            await page.wait_for_selector("#submit")
            return ThreadPage(page)

        yield opened


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


async def test_a_page_rejoins_after_the_gateway_was_restarted(open_page, api):
    page = await open_page(SLOWLY)
    await page.press("submit")
    await page.has_seen(5)
    await api.kill()
    await api.start()
    await page.reload()
    await page.shows("values", '{"answer":42}')
    assert await page.numbers() == list(range(1, 61))


@pytest.mark.parametrize("sdk", ["sdk-1.15.0"])
async def test_a_page_goes_on_by_itself_when_the_gateway_was_killed_and_restarted(open_page, api):
    page = await open_page(SLOWLY)
    await page.press("submit")
    await page.has_seen(5)
    await api.kill()
    await api.start()
    await page.shows("values", '{"answer":42}')
    await page.shows("loading", "false")
    assert await page.numbers() == list(range(1, 61))


async def test_a_page_goes_on_by_itself_when_another_gateway_takes_over(
    open_page, api, site, start_gateway
):
    # npm 2.0.0 gives up when its port refuses a connection: something must stand before gateways.
    other = await start_gateway(cors_origins=(site,))
    async with CuttingProxy(api.url) as proxy:
        page = await open_page(SLOWLY, api=proxy.url)
        await page.press("submit")
        await page.has_seen(5)
        proxy.target = other.url
        await api.kill()
        await page.shows("values", '{"answer":42}')
        await page.shows("loading", "false")
        assert await page.numbers() == list(range(1, 61))


async def test_an_event_source_reads_a_run_over_a_restart_of_its_gateway(
    browser, settings, http, wire, gateway
):
    run = await wire.create_run(gateway, http, input={**SLOWLY, "event": "echo"})
    async with (
        serve_files(PAGES) as site,
        GatewayProcess(settings, cors_origins=(site,)) as killable,
    ):
        url = f"{killable.url}{run.path}/stream?last_event_id=-1"
        page = await browser.new_page()
        await page.goto(f"{site}/events.html?{urlencode({'url': url})}")
        shown = ThreadPage(page)
        await shown.has_seen(5)
        await killable.kill()
        await killable.start()
        await shown.shows("ended", "ended")
        assert await shown.numbers() == list(range(1, 61))
