"""One run, many readers: what a delivery costs the gateway, and how many it makes a second.

The events are published one after another, as a run does. The readers are raw sockets in another
process. The baseline is a bare event loop that writes the same frames to as many transports.
"""

import json
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple
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
    events: int

    @property
    def deliveries(self) -> int:
        """How many deliveries a round has."""
        return self.readers * self.events


TITLE: Final = "SSE fan-out of one run to many readers, 200-byte events"
LOADS: Final = (Load(1, 1000), Load(100, 300), Load(1000, 100))
SMOKE_LOADS: Final = (Load(1, 20), Load(50, 10))
ROUNDS: Final = 9
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
        send: Make it send so many events; may return before they are sent.
    """

    process: Process
    port: int
    path: str
    send: Callable[[int], Awaitable[None]]


async def _gateway_side(process: Process, url: str, bridge: JetStreamBridge) -> Side:
    """Create a run over HTTP; no worker takes it, so that its events are ours alone."""
    async with ClientSession(url) as session:
        async with session.post("/threads", json={}) as answer:
            thread_id = (await answer.json())["thread_id"]
        runs = f"/threads/{thread_id}/runs"
        async with session.post(runs, json={"assistant_id": "echo"}) as answer:
            run_id = (await answer.json())["run_id"]

    async def send(count: int) -> None:
        for _ in range(count):
            await bridge.publish(run_id, EVENT, DATA)

    port = urlsplit(url).port
    assert port is not None
    return Side(process, port, f"{runs}/{run_id}/stream", send)


async def _bare_side(process: Process) -> Side:
    async def send(count: int) -> None:
        await _write_line(process, str(count))

    return Side(process, int(await read_line(process)), "/", send)


async def _compare(
    ours: Side, theirs: Side, readers: Process, load: Load, rounds: int
) -> list[Figure]:
    sides = {"gateway": ours, "bare": theirs}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        await _ask(readers, {"open": [side.port, side.path, load.readers]})

    async def deliver(name: str) -> float:
        side = sides[name]
        used = cpu_seconds(side.process)
        started = time.monotonic()
        await _write_line(readers, json.dumps({"read": [side.port, load.events]}))
        await side.send(load.events)
        ended = json.loads(await read_line(readers))
        cpu[name].append((cpu_seconds(side.process) - used) / load.deliveries * 1e6)
        return float(ended - started)

    seconds = await interleaved(rounds, {name: partial(deliver, name) for name in sides})
    rates = {name: rate(load.deliveries, each) for name, each in seconds.items()}
    # The first round warmed up.
    costs = {name: median(each[1:]) for name, each in cpu.items()}
    label = f"{load.readers:,} reader{'s' if load.readers > 1 else ''}"
    return [
        Figure(f"{label}: deliveries", rates["gateway"], "/s", _BASELINE, rates["bare"]),
        Figure(f"{label}: CPU of a delivery", costs["gateway"], "us", _BASELINE, costs["bare"]),
    ]


async def _ask(readers: Process, command: dict[str, list[Any]]) -> None:
    await _write_line(readers, json.dumps(command))
    await read_line(readers)


async def _write_line(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()
