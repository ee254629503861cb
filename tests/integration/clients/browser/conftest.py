"""Pages in a real browser, built with either version of the SDK."""

import json
from contextlib import AsyncExitStack
from urllib.parse import urlencode

import pytest
from chromium import connected_browser, running_chromium
from console_page import ConsolePage
from gateway_process import GatewayProcess
from sites import bundle, serve_files
from thread_page import ThreadPage


@pytest.fixture(scope="session")
def chromium_url(tmp_path_factory):
    """Where a real browser listens that all tests of this process share."""
    with running_chromium(tmp_path_factory.mktemp("chromium")) as url:
        yield url


@pytest.fixture
async def browser(chromium_url):
    """A real browser, without a window; contexts of it share nothing."""
    async with connected_browser(chromium_url) as connected:
        yield connected


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
async def api(start_gateway, site):
    """A gateway that lets the site's pages call it."""
    return await start_gateway(cors_origins=(site,))


@pytest.fixture
async def killable(settings, site):
    """One that is a process of its own."""
    async with GatewayProcess(settings, cors_origins=(site,)) as process:
        yield process


@pytest.fixture
async def open_page(browser, site, api):
    """Open the page for an input: ``await open_page({"events": 3}, api=killable.url)``."""
    async with AsyncExitStack() as stack:

        async def opened(given, *, site=site, **query):
            page = await browser.new_page()
            stack.push_async_callback(page.close)
            query = urlencode({"api": api.url, "input": json.dumps(given), **query})
            await page.goto(f"{site}/index.html?{query}")
            await page.wait_for_selector("#submit")
            return ThreadPage(page)

        yield opened


@pytest.fixture
async def open_console(browser):
    """Open the console of a gateway: ``await open_console(url, "runs?status=error")``.

    A browser that complains of anything, as of a broken security policy, fails the test.
    """
    complaints = []
    async with AsyncExitStack() as stack:

        async def opened(url, place="", **options):
            context = await browser.new_context(**options)
            stack.push_async_callback(context.close)
            page = await context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
            await page.goto(f"{url}/console/#/{place}")
            return ConsolePage(page)

        yield opened
    # What the gateway refuses, and that it is away, the browser writes down by itself.
    assert [each for each in complaints if "Failed to load resource" not in each] == []


@pytest.fixture
async def console(open_console, gateway):
    """Open the console of the test's own gateway: ``await console("runs")``."""

    async def opened(place="", **options):
        return await open_console(gateway.url, place, **options)

    return opened
