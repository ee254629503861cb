"""A real browser."""

import os
import shutil
import subprocess
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from js_client import NODE
from playwright.async_api import async_playwright

# It looks for its maker's hosts otherwise, and the tests run as root.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# The driver's own needs a library that a small system does not have.
os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(NODE)


def chromium():
    """The path of the browser: CHROMIUM, or the one of the system's packages."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert found, "no chromium on PATH: run `make test`, which installs it, or set CHROMIUM"
    return found


@contextmanager
def running_chromium(profile: Path):
    """Run the browser, without a window; yields where it listens.

    Args:
        profile: A directory of its own.
    """
    process = subprocess.Popen(
        [
            chromium(),
            "--headless=new",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            *ARGUMENTS,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _debugging_url(profile / "DevToolsActivePort")
    finally:
        process.terminate()
        process.wait(20)


def _debugging_url(port_file):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        # The browser writes two lines once it listens.
        if port_file.exists() and (lines := port_file.read_text().split()):
            return f"http://127.0.0.1:{lines[0]}"
        time.sleep(0.02)
    msg = "chromium does not listen"
    raise AssertionError(msg)


@asynccontextmanager
async def connected_browser(url):
    """Connect to a browser that runs; contexts that are left open are closed."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(url)
        try:
            yield browser
        finally:
            await browser.close()
