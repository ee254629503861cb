"""Many publishes at once: 50 runs, and a burst of one run, beside pipelined bare publishes.

The events of one run form a chain, each stored behind the one before; the bare client's do not and
may land in any order. Below 20 waiting events a run publishes singly, above in atomic batches.
"""

import asyncio
from typing import Final

from bench.report import Figure
from bench.rounds import TimedAction, interleaved, rate, timed
from bench.setting import (
    BARE_SUBJECT,
    DATA,
    EVENT,
    PAYLOAD,
    bare_client,
    bare_stream,
    new_run,
    open_bridge,
    running_server,
)

TITLE: Final = "many publishes at once, 200-byte events"
RUNS: Final = 50
PER_RUN: Final = 40
BURST: Final = 1000
WINDOW: Final = 256
ROUNDS: Final = 25
SMOKE_ROUNDS: Final = 2


async def measure(*, smoke: bool) -> list[Figure]:
    async with (
        running_server() as server,
        open_bridge(server) as bridge,
        bare_client(server) as client,
    ):
        runs = [await new_run(bridge) for _ in range(RUNS)]
        jetstream = await bare_stream(client, max_pending=WINDOW)

        async def publish_in(run_id: str) -> None:
            for _ in range(PER_RUN):
                await bridge.publish(run_id, EVENT, DATA)

        async def publish_in_all_runs() -> None:
            await asyncio.gather(*(publish_in(run_id) for run_id in runs))

        async def burst() -> None:
            publishes = (bridge.publish(runs[0], EVENT, DATA) for _ in range(BURST))
            await asyncio.gather(*publishes)

        async def pipeline() -> None:
            publish = jetstream.publish_async
            acks = [await publish(BARE_SUBJECT, PAYLOAD) for _ in range(RUNS * PER_RUN)]
            await asyncio.gather(*acks)

        actions: dict[str, TimedAction] = {
            "runs": timed(publish_in_all_runs),
            "burst": timed(burst),
            "bare": timed(pipeline),
        }
        seconds = await interleaved(SMOKE_ROUNDS if smoke else ROUNDS, actions)
    bare = rate(RUNS * PER_RUN, seconds["bare"])
    baseline = f"nats-py publish_async, {WINDOW} in flight"
    return [
        Figure(
            f"{RUNS} runs, each waiting for its acks",
            rate(RUNS * PER_RUN, seconds["runs"]),
            "/s",
            baseline,
            bare,
        ),
        Figure(
            f"one run, {BURST} publishes at once",
            rate(BURST, seconds["burst"]),
            "/s",
            baseline,
            bare,
        ),
    ]
