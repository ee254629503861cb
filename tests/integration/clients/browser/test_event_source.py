"""The browser's own EventSource, cross-origin."""

from urllib.parse import urlencode

import pytest
from gateway_process import GatewayProcess
from sites import PAGES, serve_files
from thread_page import ThreadPage

pytestmark = pytest.mark.usefixtures("worker")

SLOWLY = {"events": 60, "delay_s": 0.05}


async def test_an_event_source_reads_a_run_over_a_restart_of_its_gateway(
    browser, settings, http, wire, gateway
):
    run = await wire.create_run(gateway, http, input=SLOWLY)
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
