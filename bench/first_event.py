"""From the request that creates a run to its first event, over HTTP, with a worker at work.

The thread exists and the connection is open. The baseline is a bare aiohttp handler that answers
with one event at once: what HTTP and the client cost without any run.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from aiohttp import ClientSession

from bench.children import child, gateway, read_line, settings_of, worker
from bench.report import Figure
from bench.rounds import in_turns, percentile
from bench.setting import DATA, running_server

TITLE: Final = "from the POST that creates a run to its first SSE event"
ROUNDS: Final = 500
SMOKE_ROUNDS: Final = 20
_BODY: Final = {"assistant_id": "echo", "input": {"text": DATA}}


async def measure(*, smoke: bool) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with running_server() as server:
            settings = settings_of(server, Path(directory))
            async with (
                gateway(settings) as (_, url),
                worker(settings),
                child("bench.bare_sse") as bare,
            ):
                seconds = await _measure(url, await read_line(bare), smoke=smoke)
    millis = {name: [each * 1000 for each in values] for name, values in seconds.items()}
    return [
        Figure("median", median(millis["run"]), "ms", _BASELINE, median(millis["bare"]), "<= 5 ms"),
        Figure(
            "99th percentile",
            percentile(millis["run"], 0.99),
            "ms",
            _BASELINE,
            percentile(millis["bare"], 0.99),
        ),
    ]


_BASELINE: Final = "bare aiohttp handler that answers at once"


async def _measure(url: str, bare_url: str, *, smoke: bool) -> dict[str, list[float]]:
    async with ClientSession(url) as session, ClientSession(bare_url) as bare_session:

        async def run() -> float:
            async with session.post("/threads", json={}) as answer:
                thread_id = (await answer.json())["thread_id"]
            return await _first_event(session, f"/threads/{thread_id}/runs/stream")

        async def bare() -> float:
            return await _first_event(bare_session, "/stream")

        return await in_turns(SMOKE_ROUNDS if smoke else ROUNDS, {"run": run, "bare": bare})


async def _first_event(session: ClientSession, path: str) -> float:
    """Return the seconds to the first event; read on to the end, so that the worker is idle."""
    started = time.perf_counter()
    seconds: Any = None
    received = b""
    async with session.post(path, json=_BODY) as response:
        assert response.status == 200, await response.text()  # noqa: PLR2004 - OK
        async for chunk in response.content.iter_any():
            received += chunk
            if seconds is None and b"\n\n" in received:
                seconds = time.perf_counter() - started
    assert seconds is not None
    return float(seconds)
