"""Many processes end the same runs while a writer still publishes to them.

Whoever races: a run gets exactly one terminal event, it is the last one, and everybody who ends,
reads or asks is told the same.
"""

import asyncio
import json
import os
import random
import subprocess
import sys

import pytest

from bridge import (
    END,
    BridgeSettings,
    JetStreamBridge,
    NatsSettings,
    StreamEvent,
    StreamTerminatedError,
    new_event,
)

pytestmark = pytest.mark.chaos

PROCESSES = 8
RUNS = 200
#: Runs that are published to, followed and ended at one time.
AT_ONCE = 20

#: Ends each run that it is told, at a moment of its own, and says which terminal the run has.
ENDING = """
import asyncio, json, os, random, sys
from bridge import BridgeSettings, JetStreamBridge, NatsSettings, Terminal

async def main():
    nats = NatsSettings(**json.loads(os.environ["NATS"]))
    kinds = list(Terminal)
    loop = asyncio.get_running_loop()
    async with JetStreamBridge(BridgeSettings(nats=nats)) as bridge:
        async def end(run_id):
            await asyncio.sleep(random.uniform(0, 0.05))
            kind = random.choice(kinds)
            terminal = await bridge.publish_terminal(run_id, kind, {"by": os.getpid()})
            print(json.dumps([run_id, terminal]), flush=True)

        print(json.dumps(None), flush=True)
        async with asyncio.TaskGroup() as tasks:
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                tasks.create_task(end(line.strip()))

asyncio.run(main())
"""


class Enders:
    """The processes that end runs."""

    def __init__(self, environment):
        self._environment = environment
        self._processes = []

    async def start(self):
        for _ in range(PROCESSES):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", ENDING),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environment,
            )
            self._processes.append(process)
        for process in self._processes:
            assert await process.stdout.readline() == b"null\n"

    async def end(self, run_ids):
        """Have every process end every run; return what each was told of each run."""
        told = {run_id: [] for run_id in run_ids}
        lines = "".join(f"{run_id}\n" for run_id in run_ids).encode()
        for process in self._processes:
            process.stdin.write(lines)
        await asyncio.gather(*(self._listen(process, told) for process in self._processes))
        return told

    async def _listen(self, process, told):
        for _ in told:
            run_id, terminal = json.loads(await process.stdout.readline())
            told[run_id].append(terminal)

    async def stop(self):
        for process in self._processes:
            process.stdin.close()
        for process in self._processes:
            await process.wait()


@pytest.fixture
async def bridge(server):
    nats_settings = NatsSettings(url=server.url, user=server.user, password=server.password)
    async with JetStreamBridge(BridgeSettings(nats=nats_settings)) as opened:
        yield opened


@pytest.fixture
async def enders(server):
    access = {
        "url": server.url,
        "user": server.user,
        "password": server.password.get_secret_value(),
    }
    running = Enders({**os.environ, "NATS": json.dumps(access)})
    await running.start()
    yield running
    await running.stop()


async def publish_until_ended(bridge, run_id, rng):
    """Publish in singles and batches until the run has ended; return what was acknowledged."""
    acknowledged = []
    try:
        while True:
            if rng.random() < 0.2:
                batch = [new_event("note", n) for n in range(30)]
                acknowledged += await bridge.publish_many(run_id, batch)
            else:
                acknowledged.append(await bridge.publish(run_id, "note", 1))
    except StreamTerminatedError:
        return acknowledged


async def read(bridge, run_id):
    """Read a run to its end."""
    async with bridge.subscribe(run_id) as items:
        read_items = [item async for item in items]
    assert read_items[-1] is END
    return [item for item in read_items if isinstance(item, StreamEvent)]


async def test_of_terminals_from_many_processes_one_is_stored_and_it_is_the_last(
    bridge, enders, chaos_factor
):
    rng = random.Random()
    for start in range(0, RUNS * chaos_factor, AT_ONCE):
        run_ids = [f"run-{start + n}" for n in range(AT_ONCE)]
        for run_id in run_ids:
            await bridge.create(run_id, thread_id="thread-1")
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            writers = [
                tasks.create_task(publish_until_ended(bridge, run_id, rng)) for run_id in run_ids
            ]
            readers = [tasks.create_task(read(bridge, run_id)) for run_id in run_ids]
            told = await enders.end(run_ids)
        for run_id, writer, reader in zip(run_ids, writers, readers, strict=True):
            events = reader.result()
            assert await read(bridge, run_id) == events
            assert [event.run_seq for event in events] == list(range(1, len(events) + 1))
            assert [event.id for event in events if event.is_terminal] == [events[-1].id]
            assert told[run_id] == [events[-1].id] * PROCESSES
            assert [event.id for event in events[1:-1]] == writer.result()
            info = await bridge.status(run_id)
            assert (info.last_id, info.terminal) == (events[-1].id, events[-1])
