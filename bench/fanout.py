"""One run, many readers: how many deliveries the gateway makes a second, and what one costs.

In a burst the events are published one after another without a pause, and the gateway joins what
has come meanwhile into one write. Paced, they come apart, and each delivery is a write of its own.
The readers are raw sockets in another process. The baseline is a bare event loop that writes the
same frames, one by one, to as many transports.
"""

import asyncio
import json
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from aiohttp import ClientSession

from bench.children import child, cpu_seconds, gateway, read_line, settings_of
from bench.report import Figure
from bench.rounds import interleaved, rate
from bench.setting import DATA, EVENT, open_bridge, running_server
from bridge import JetStreamBridge


class Load(NamedTuple):
    """How many readers, and how many events each of them gets in a round."""

    readers: int
    burst: int
    paced: int

    @property
    def pause_s(self) -> float:
        """How far events must be apart, for one to be delivered before the next is published."""
        return 0.002 + 20e-6 * self.readers


TITLE: Final = "SSE fan-out of one run to many readers, 200-byte events"
LOADS: Final = (Load(1, 1000, 100), Load(100, 300, 50), Load(1000, 100, 20))
SMOKE_LOADS: Final = (Load(1, 20, 10), Load(50, 10, 5))
ROUNDS: Final = 15
SMOKE_ROUNDS: Final = 2
_BASELINE: Final = "bare event loop writing the same frames"


async def measure(*, smoke: bool) -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with running_server() as server, open_bridge(server) as bridge:
            settings = settings_of(server, Path(directory))
            for load in SMOKE_LOADS if smoke else LOADS:
                async with (
                    gateway(settings) as (process, url),
                    child("bench.bare_fanout") as bare,
                    child("bench.readers") as readers,
                ):
                    ours = await _gateway_side(process, url, bridge)
                    theirs = await _bare_side(bare)
                    rounds = SMOKE_ROUNDS if smoke else ROUNDS
                    figures += await _compare(ours, theirs, readers, load, rounds)
    return figures


@dataclass(frozen=True, slots=True)
class Side:
    """A process that sends events to readers.

    Attributes:
        process: The process.
        port: Where it serves.
        path: What a reader asks for.
        send: Make it send so many events, so many seconds apart; may return before it has.
    """

    process: Process
    port: int
    path: str
    send: Callable[[int, float], Awaitable[None]]


async def _gateway_side(process: Process, url: str, bridge: JetStreamBridge) -> Side:
    """Create a run over HTTP; no worker takes it, so that its events are ours alone."""
    async with ClientSession(url) as session:
        async with session.post("/threads", json={}) as answer:
            thread_id = (await answer.json())["thread_id"]
        runs = f"/threads/{thread_id}/runs"
        async with session.post(runs, json={"assistant_id": "echo"}) as answer:
            run_id = (await answer.json())["run_id"]

    async def send(count: int, pause_s: float) -> None:
        for _ in range(count):
            await bridge.publish(run_id, EVENT, DATA)
            if pause_s:
                await asyncio.sleep(pause_s)

    port = urlsplit(url).port
    assert port is not None
    return Side(process, port, f"{runs}/{run_id}/stream", send)


async def _bare_side(process: Process) -> Side:
    async def send(count: int, pause_s: float) -> None:
        await _write_line(process, f"{count} {pause_s}")

    return Side(process, int(await read_line(process)), "/", send)


async def _compare(
    ours: Side, theirs: Side, readers: Process, load: Load, rounds: int
) -> list[Figure]:
    sides = {"ours": ours, "theirs": theirs}
    for side in sides.values():
        await _write_line(readers, json.dumps({"open": [side.port, side.path, load.readers]}))
        await read_line(readers)
    burst = {name: partial(_burst_s, side, readers, load) for name, side in sides.items()}
    seconds = await interleaved(rounds, burst)
    paced = {name: partial(_paced_cpu_s, side, readers, load) for name, side in sides.items()}
    cpu = await interleaved(rounds, paced)
    rates = {name: rate(load.readers * load.burst, each) for name, each in seconds.items()}
    costs = {name: median(each) * 1e6 for name, each in cpu.items()}
    label = f"{load.readers:,} reader{'s' if load.readers > 1 else ''}"
    return [
        Figure(f"{label}, burst", rates["ours"], "/s", _BASELINE, rates["theirs"]),
        Figure(f"{label}, paced: CPU", costs["ours"], "us", _BASELINE, costs["theirs"]),
    ]


async def _burst_s(side: Side, readers: Process, load: Load) -> float:
    """Return the seconds until all readers have all events of a burst."""
    started = time.monotonic()
    return await _deliver(side, readers, load.burst, 0) - started


async def _paced_cpu_s(side: Side, readers: Process, load: Load) -> float:
    """Return the processor time that one delivery took the process."""
    used_s = cpu_seconds(side.process)
    await _deliver(side, readers, load.paced, load.pause_s)
    return (cpu_seconds(side.process) - used_s) / (load.readers * load.paced)


async def _deliver(side: Side, readers: Process, events: int, pause_s: float) -> float:
    """Send events; return when the last reader had the last one, by the monotonic clock."""
    await _write_line(readers, json.dumps({"read": [side.port, events]}))
    await side.send(events, pause_s)
    return float(json.loads(await read_line(readers)))


async def _write_line(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()
