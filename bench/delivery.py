"""How long an event is on its way to each of 1000 readers, at 50 events a second.

Ours begins with the call of ``publish`` and goes through the log and the gateway; the bare event
loop's begins with its first write. Both end when the reader has the block.
"""

import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from bench.children import settings_of
from bench.report import Figure
from bench.rounds import in_turns
from bench.setting import open_bridge, running_server
from bench.sides import BASELINE, running_sides

TITLE: Final = "time from publishing an event to each of 1000 readers, 50 events a second"
READERS: Final = 1000
SMOKE_READERS: Final = 50
EVENTS: Final = 100
SMOKE_EVENTS: Final = 5
PAUSE_S: Final = 0.02
#: Of all deliveries: the median and the 99th percentile.
SHARES: Final = (0.5, 0.99)
ROUNDS: Final = 5
SMOKE_ROUNDS: Final = 2


async def measure(*, smoke: bool) -> list[Figure]:
    count = SMOKE_READERS if smoke else READERS
    events = SMOKE_EVENTS if smoke else EVENTS
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with (
            running_server() as server,
            open_bridge(server) as bridge,
            running_sides(settings_of(server, Path(directory)), bridge) as sides,
        ):
            for side in sides.both.values():
                await sides.readers.open(side, count)
            actions = {
                name: partial(sides.readers.clock, side, events, PAUSE_S, SHARES)
                for name, side in sides.both.items()
            }
            rounds = await in_turns(SMOKE_ROUNDS if smoke else ROUNDS, actions)
    ours, theirs = (
        [median(each) * 1000 for each in zip(*rounds[side], strict=True)] for side in sides.both
    )
    return [
        Figure("median", ours[0], "ms", BASELINE, theirs[0]),
        Figure("99th percentile", ours[1], "ms", BASELINE, theirs[1], "ratio <= 1.5"),
    ]
