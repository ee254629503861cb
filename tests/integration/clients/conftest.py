"""JavaScript clients in a real Node.js, and a network between client and gateway that fails."""

from contextlib import AsyncExitStack

import pytest
from chromium import connected_browser, running_chromium
from console_page import ConsolePage
from cutting_proxy import CuttingProxy
from js_client import SDKS, js_client


@pytest.fixture
async def open_js():
    """Open clients: ``await open_js("sdk-1.15.0", url)``; they close with the test."""
    async with AsyncExitStack() as stack:

        async def opened(sdk, url, *flags):
            return await stack.enter_async_context(js_client(sdk, url, *flags))

        yield opened


@pytest.fixture(params=SDKS)
def sdk(request):
    """The name of an npm package: the SDK in one of the versions that people have."""
    return request.param


@pytest.fixture
async def js(open_js, gateway, sdk):
    """A client of either version, connected to the gateway."""
    return await open_js(sdk, gateway.url)


@pytest.fixture
async def proxy(gateway):
    """What stands between clients and the gateway, and cuts connections when told."""
    async with CuttingProxy(gateway.url) as running:
        yield running


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
