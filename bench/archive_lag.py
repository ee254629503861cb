"""How long after its acknowledgement an event is in its file, and what the sink needs for it.

The sink is a process of its own. This one publishes at a steady pace to several runs and looks into
their files meanwhile. The sink's memory is read after a short load and after one ten times longer.
"""

import asyncio
import os
import time
from asyncio.subprocess import Process
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from api.environment import child_environment
from bench.archived import caught_up
from bench.children import child, settings_of
from bench.report import Figure
from bench.rounds import percentile
from bench.setting import DATA, EVENT, open_bridge, running_server
from bridge import JetStreamBridge, RunRef, new_event, new_id
from store import ArchiveLayout

TITLE: Final = "archive lag and memory of the sink at 5,000 events a second, 200-byte events"
PER_SECOND: Final = 5_000
RUNS: Final = 10
TICK_S: Final = 0.1
LOOK_S: Final = 0.002
SECONDS: Final = 20.0
SMOKE_SECONDS: Final = 2.0
#: The first part of the load, after which memory is read for the first time.
SHORT: Final = 0.1


async def measure(*, smoke: bool) -> list[Figure]:
    seconds = SMOKE_SECONDS if smoke else SECONDS
    with TemporaryDirectory(prefix="jetrun-bench-") as data:
        async with running_server() as server, open_bridge(server) as bridge:
            settings = settings_of(server, Path(data))
            async with child("store.sink", child_environment(settings)) as sink:
                load = Load(bridge, ArchiveLayout(Path(data)))
                await load.start()
                await load.go_on(seconds * SHORT)
                await caught_up(bridge)
                before = _memory_mib(sink)
                await load.go_on(seconds)
                await caught_up(bridge)
                after = _memory_mib(sink)
    millis = [each * 1000 for each in load.lags]
    name = f"from ack to file, {len(millis):,} events"
    return [
        Figure(f"{name}: median", median(millis), "ms"),
        Figure(f"{name}: 99th percentile", percentile(millis, 0.99), "ms", target="<= 500 ms"),
        Figure(
            "memory of the sink after the whole load",
            after,
            "MiB",
            f"after the first {SHORT:.0%}",
            before,
            "flat",
        ),
    ]


class Load:
    """Publishes at a pace, and sees when lines appear."""

    def __init__(self, bridge: JetStreamBridge, layout: ArchiveLayout) -> None:
        self._bridge = bridge
        self._runs = [RunRef(new_id(), new_id()) for _ in range(RUNS)]
        self._paths = {run: layout.run(run) for run in self._runs}
        self._offsets = dict.fromkeys(self._runs, 0)
        self._seen = dict.fromkeys(self._runs, 0)
        self._acked: dict[RunRef, list[float]] = {run: [] for run in self._runs}
        self.lags: list[float] = []

    async def start(self) -> None:
        """Create the runs, and wait for their files."""
        for run in self._runs:
            await self._bridge.create(run.run_id, thread_id=run.thread_id)
        while not all(path.exists() for path in self._paths.values()):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(LOOK_S)
        await caught_up(self._bridge)
        self._offsets = {run: path.stat().st_size for run, path in self._paths.items()}

    async def go_on(self, seconds: float) -> None:
        """Publish for so long, and wait until all of it has been seen in the files."""
        publishing = asyncio.gather(*(self._publish(run, seconds) for run in self._runs))
        while not publishing.done() or any(
            self._seen[run] < len(acked) for run, acked in self._acked.items()
        ):
            self._look()
            await asyncio.sleep(LOOK_S)
        await publishing

    async def _publish(self, run: RunRef, seconds: float) -> None:
        events = [new_event(EVENT, DATA)] * round(PER_SECOND / RUNS * TICK_S)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for tick in range(round(seconds / TICK_S)):
            await asyncio.sleep(started + tick * TICK_S - loop.time())
            await self._bridge.publish_many(run.run_id, events)
            self._acked[run].extend([time.perf_counter()] * len(events))

    def _look(self) -> None:
        now = time.perf_counter()
        for run, path in self._paths.items():
            size = path.stat().st_size
            if size == self._offsets[run]:
                continue
            with path.open("rb") as file:
                seen = os.pread(file.fileno(), size - self._offsets[run], self._offsets[run])
            whole = seen.rfind(b"\n") + 1
            self._offsets[run] += whole
            count = seen.count(b"\n")
            acked = self._acked[run][self._seen[run] :][:count]
            self._seen[run] += count
            # A line may be there before its acknowledgement has come back to the publisher.
            self.lags += [now - each for each in acked] + [0.0] * (count - len(acked))


def _memory_mib(process: Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
