"""One run, many readers: how many deliveries the gateway makes a second, and what one costs.

In a burst the events are published one after another without a pause, and the gateway joins what
has come meanwhile into one write. Paced, they come apart, and each delivery is a write of its own.
The readers are raw sockets in another process. The baseline is a bare event loop that writes the
same frames, one by one, to as many transports.
"""

import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench.children import cpu_seconds, settings_of
from bench.report import Figure
from bench.rounds import in_turns, rate
from bench.setting import open_bridge, running_server
from bench.sides import BASELINE, Readers, Side, Sides, running_sides


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
MANY: Final = 1000
LOADS: Final = (Load(1, 1000, 100), Load(100, 300, 50), Load(MANY, 100, 20))
SMOKE_LOADS: Final = (Load(1, 20, 10), Load(50, 10, 5))
ROUNDS: Final = 15
SMOKE_ROUNDS: Final = 2


async def measure(*, smoke: bool) -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with running_server() as server, open_bridge(server) as bridge:
            settings = settings_of(server, Path(directory))
            for load in SMOKE_LOADS if smoke else LOADS:
                async with running_sides(settings, bridge) as sides:
                    figures += await _compare(sides, load, SMOKE_ROUNDS if smoke else ROUNDS)
    return figures


async def _compare(sides: Sides, load: Load, rounds: int) -> list[Figure]:
    for side in sides.both.values():
        await sides.readers.open(side, load.readers)
    burst = {
        name: partial(_burst_s, side, sides.readers, load) for name, side in sides.both.items()
    }
    seconds = await in_turns(rounds, burst)
    paced = {
        name: partial(_paced_cpu_s, side, sides.readers, load) for name, side in sides.both.items()
    }
    cpu = await in_turns(rounds, paced)
    rates = {name: rate(load.readers * load.burst, each) for name, each in seconds.items()}
    costs = {name: median(each) * 1e6 for name, each in cpu.items()}
    label = f"{load.readers:,} reader{'s' if load.readers > 1 else ''}"
    target = "ratio <= 1.5" if load.readers == MANY else ""
    return [
        Figure(f"{label}, burst", rates["ours"], "/s", BASELINE, rates["theirs"]),
        Figure(f"{label}, paced: CPU", costs["ours"], "us", BASELINE, costs["theirs"], target),
    ]


async def _burst_s(side: Side, readers: Readers, load: Load) -> float:
    """Return the seconds until all readers have all events of a burst."""
    started = time.monotonic()
    return await readers.deliver(side, load.burst) - started


async def _paced_cpu_s(side: Side, readers: Readers, load: Load) -> float:
    """Return the processor time that one delivery took the process."""
    used_s = cpu_seconds(side.process)
    await readers.deliver(side, load.paced, load.pause_s)
    return (cpu_seconds(side.process) - used_s) / (load.readers * load.paced)
