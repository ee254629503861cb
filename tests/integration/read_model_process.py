"""A process that keeps a read model in a file until it is killed: URL, user, password, directory.

Prints a line whenever it has applied something.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from bridge import BridgeSettings, JetStreamBridge, NatsSettings
from runs import ReadModelSettings, RunQuery, open_read_model


async def main(url, user, password, directory):
    nats = NatsSettings(url=url, user=user, password=password)
    async with (
        JetStreamBridge(BridgeSettings(nats=nats)) as bridge,
        open_read_model(bridge.state_feed, Path(directory), ReadModelSettings()) as model,
    ):
        while True:
            total = (await model.find_runs(RunQuery(), limit=0)).total
            sys.stdout.write(f"{total}\n")
            sys.stdout.flush()
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
