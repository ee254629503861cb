"""How long Prometheus waits for a gateway's figures while 1000 readers follow a run there.

Once while nothing happens, and once while each of them gets 50 events a second.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from aiohttp import ClientSession

from bench.children import gateway, settings_of
from bench.report import Figure
from bench.rounds import percentile
from bench.setting import open_bridge, running_server
from bench.sides import gateway_side, running_readers

TITLE: Final = "one scrape of /metrics of a gateway that 1000 readers follow a run at"
READERS: Final = 1000
SMOKE_READERS: Final = 50
SCRAPES: Final = 100
SMOKE_SCRAPES: Final = 5
PAUSE_S: Final = 0.02
TARGET: Final = "< 50 ms"


async def measure(*, smoke: bool) -> list[Figure]:
    scrapes = SMOKE_SCRAPES if smoke else SCRAPES
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with (
            running_server() as server,
            open_bridge(server) as bridge,
            gateway(settings_of(server, Path(directory))) as (process, url),
            running_readers() as readers,
            ClientSession(url) as session,
        ):
            side = await gateway_side(process, url, bridge)
            await readers.open(side, SMOKE_READERS if smoke else READERS)
            idle = await _scrape(session, scrapes)
            delivering = asyncio.create_task(readers.deliver(side, scrapes, PAUSE_S))
            busy = await _scrape(session, scrapes, PAUSE_S)
            await delivering
    return [
        Figure("nothing happens, median", median(idle), "ms", target=TARGET),
        Figure("nothing happens, 99th percentile", percentile(idle, 0.99), "ms"),
        Figure("50 events a second to each, median", median(busy), "ms", target=TARGET),
        Figure("50 events a second to each, 99th percentile", percentile(busy, 0.99), "ms"),
    ]


async def _scrape(session: ClientSession, count: int, pause_s: float = 0) -> list[float]:
    """Return the milliseconds that each scrape took."""
    millis = []
    for _ in range(count):
        started = time.perf_counter()
        async with session.get("/metrics") as answer:
            assert b"jetrun_followers" in await answer.read()
        millis.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(pause_s)
    return millis
