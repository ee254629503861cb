"""Pages in a real browser, built with either version of the SDK."""

import json
from contextlib import AsyncExitStack
from urllib.parse import urlencode

import pytest
from chromium import bundle, serve_files
from gateway_process import GatewayProcess
from thread_page import ThreadPage


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


@pytest.fixture
async def open_page(browser, site, api):
    """Open the page for an input: ``await open_page({"events": 3})``."""
    async with AsyncExitStack() as stack:

        async def opened(given, *, site=site, **query):
            page = await browser.new_page()
            stack.push_async_callback(page.close)
            query = urlencode({"api": api.url, "input": json.dumps(given), **query})
            await page.goto(f"{site}/index.html?{query}")
            await page.wait_for_selector("#submit")
            return ThreadPage(page)

        yield opened
