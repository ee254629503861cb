"""Memory of a gateway per idle reader, and of the server per followed run.

The gateway's resident memory is read before and after its readers come, and before and after many
others have come and gone; the server's, before and after more processes follow every run.
"""

import os
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from bench.children import gateway, settings_of
from bench.report import Figure
from bench.setting import new_run, open_bridge, running_server
from bench.sides import Readers, Side, gateway_side, running_readers
from bridge import JetStreamBridge

TITLE: Final = "resident memory"
READERS: Final = 2000
SMOKE_READERS: Final = 100
CONNECTS: Final = 10_000
SMOKE_CONNECTS: Final = 200
#: So many are connected at one time, of those that come and go.
AT_ONCE: Final = 100
#: Connects before the first look: what a process once needs for them, it keeps.
WARM_UP: Final = 2000
RUNS: Final = 10_000
#: Who follow all of the runs; the first one does not count, for it makes the server need what any
#: reading of so many runs makes it need.
GATEWAYS: Final = 4
SMOKE_RUNS: Final = 50
_KIB: Final = 1024


async def measure(*, smoke: bool) -> list[Figure]:
    figures = [
        await _of_gateway(_of_readers, SMOKE_READERS if smoke else READERS),
        await _of_gateway(_of_connects, SMOKE_CONNECTS if smoke else CONNECTS),
    ]
    # Go lets garbage grow to what is live; collecting early leaves nearly what is live.
    os.environ["GOGC"] = "10"
    async with running_server() as server, AsyncExitStack() as stack:
        del os.environ["GOGC"]
        bridges = [await stack.enter_async_context(open_bridge(server)) for _ in range(GATEWAYS)]
        figures.append(await _of_followed_runs(server.pid, bridges, SMOKE_RUNS if smoke else RUNS))
    return figures


async def _of_gateway(
    look: Callable[[Readers, Side, int], Awaitable[Figure]], count: int
) -> Figure:
    """Look at a gateway that has had nobody but one reader so far."""
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with (
            running_server() as server,
            open_bridge(server) as bridge,
            gateway(settings_of(server, Path(directory))) as (process, url),
            running_readers() as readers,
        ):
            side = await gateway_side(process, url, bridge)
            await _come_and_go(readers, side, 1)
            return await look(readers, side, count)


async def _of_connects(readers: Readers, side: Side, count: int) -> Figure:
    for _ in range(min(WARM_UP, count) // AT_ONCE):
        await _come_and_go(readers, side, AT_ONCE)
    before = resident_bytes(side.process.pid)
    for _ in range(count // AT_ONCE):
        await _come_and_go(readers, side, AT_ONCE)
    after = resident_bytes(side.process.pid)
    name = f"gateway after {count:,} connects and disconnects"
    mib = _KIB * _KIB
    return Figure(name, after / mib, "MiB", "the same before", before / mib, "ratio about 1")


async def _come_and_go(readers: Readers, side: Side, count: int) -> None:
    await readers.open(side, count)
    await readers.close(side)


async def _of_readers(readers: Readers, side: Side, count: int) -> Figure:
    before = resident_bytes(side.process.pid)
    await readers.open(side, count)
    each = (resident_bytes(side.process.pid) - before) / count
    return Figure(f"gateway, per idle reader of {count:,}", each / _KIB, "KiB", target="<= 40 KiB")


async def _of_followed_runs(server_pid: int, bridges: list[JetStreamBridge], count: int) -> Figure:
    runs = [await new_run(bridges[0]) for _ in range(count)]
    async with AsyncExitStack() as stack:
        resident = []
        for bridge in bridges:
            for run_id in runs:
                await stack.enter_async_context(bridge.follow(run_id))
            resident.append(resident_bytes(server_pid))
    each = (resident[-1] - resident[0]) / (len(bridges) - 1) / count
    name = f"server, per followed run of {count:,} and gateway"
    return Figure(name, each / _KIB, "KiB", target="<= 1 KiB")


def resident_bytes(pid: int) -> int:
    """Return how much memory of a process is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "VmRSS":
            return int(value.split()[0]) * _KIB
    raise AssertionError(pid)
