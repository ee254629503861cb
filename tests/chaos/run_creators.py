"""A gateway's run control in a process of its own: does random things to shared threads.

Told everything by one JSON argument; writes a line for each run that was admitted.
"""

import asyncio
import json
import random
import sys

from bridge import BridgeError, BridgeSettings, JetStreamBridge, NatsSettings, RunRef
from runs import (
    AssistantCatalog,
    AssistantSettings,
    QueueFullError,
    RunConflictError,
    RunManager,
    RunsError,
    RunSettings,
    RunSpec,
)

ORDERS = json.loads(sys.argv[1])
ACTIONS = ("create", "create", "create", "interrupt", "rollback")


def settings():
    return BridgeSettings(nats=NatsSettings(**ORDERS["nats"]))


def spec(thread, strategy):
    return RunSpec(
        thread_id=thread,
        assistant_id=ORDERS["assistant"],
        input=ORDERS["input"],
        multitask_strategy=strategy,
        if_not_exists="create",
        metadata={"creator": ORDERS["name"]},
    )


def tell(record):
    facts = {"run_id": record.run_id, "thread_id": record.thread_id, "creator": ORDERS["name"]}
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def create_everywhere(manager):
    """Create ``rounds`` runs on each thread with its strategy, one after the other per thread."""

    async def create_on(thread, strategy):
        for _ in range(ORDERS["rounds"]):
            try:
                tell(await manager.create(spec(thread, strategy)))
            except (RunConflictError, QueueFullError):
                continue

    for n in range(0, len(ORDERS["threads"]), 8):
        batch = ORDERS["threads"][n : n + 8]
        await asyncio.gather(*(create_on(thread, strategy) for thread, strategy in batch))


async def wreak_havoc(manager):
    """Create, cancel and roll back at random until killed."""
    random_ = random.Random(ORDERS["name"])
    known = []
    while True:
        thread, strategy = random_.choice(ORDERS["threads"])
        action = random_.choice(ACTIONS) if known else "create"
        try:
            if action == "create":
                record = await manager.create(spec(thread, strategy))
                tell(record)
                known.append(RunRef(record.thread_id, record.run_id))
            else:
                await manager.cancel(random_.choice(known[-20:]), action)
        except (RunsError, BridgeError):
            continue  # refused, finished, rolled back, or the server is away
        finally:
            await asyncio.sleep(random_.uniform(0, 0.05))


async def main():
    declared = {ORDERS["assistant"]: AssistantSettings(function=ORDERS["function"])}
    async with JetStreamBridge(settings()) as bridge:
        manager = RunManager(bridge, AssistantCatalog(declared), RunSettings(max_queued_runs=100))
        work = {"create_everywhere": create_everywhere, "wreak_havoc": wreak_havoc}
        await work[ORDERS["work"]](manager)


asyncio.run(main())
