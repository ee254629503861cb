"""The example with a page, started as its readers start it, and used as they use it."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from playwright.async_api import expect

EXAMPLE = Path(__file__).parents[4] / "examples" / "graphs" / "page.py"


@pytest.fixture
async def url():
    """Where the example says that its page is."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        line = (await process.stdout.readline()).decode()
    assert line.startswith("open http://"), line
    yield line.split()[1]
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(30):
        assert await process.wait() == 0


async def test_the_page_chats_asks_and_is_the_same_after_a_reload(browser, url):
    page = await browser.new_page()
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    await page.goto(url)

    await page.get_by_label("Say").first.fill("what is 17 and 25")
    await page.get_by_role("button", name="Say").click()
    await expect(page.locator("p.ai")).to_have_text("The sum is 42")

    await page.get_by_label("Write to").first.fill("Ada")
    await page.get_by_role("button", name="Write to").click()
    await expect(page.get_by_text("Send this?")).to_be_visible()
    await page.reload()
    await expect(page.locator("p.ai")).to_have_text("The sum is 42")
    await expect(page.get_by_label("Letter")).to_have_value("Dear Ada, all is well.")
    await page.get_by_label("Letter").fill("Dear Ada, all is very well.")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.get_by_text("Sent: Dear Ada, all is very well.")).to_be_visible()
