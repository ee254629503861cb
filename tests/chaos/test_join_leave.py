"""Hundreds of readers join, leave and resume while old events are trimmed and the server is killed.

Each reader accounts for every event of its run: delivered once, in order, or counted in a gap that
says exactly how many are missing. None waits for ever.
"""

import asyncio
import random
from contextlib import AsyncExitStack

import pytest
from load import PATIENCE_S

from bridge import (
    END,
    BridgeSettings,
    GapReason,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    RunRef,
    StreamEvent,
    StreamGap,
    new_event,
)

pytestmark = pytest.mark.chaos

RUNS = [RunRef(f"thread-{n % 20}", f"run-{n}") for n in range(200)]
READERS_PER_RUN = 2
KILLS = 2
#: Seconds of load between kills.
LOAD_S = 3.0


@pytest.fixture
async def connect(server):
    nats_settings = NatsSettings(url=server.url, user=server.user, password=server.password)
    log = LogSettings(max_buffered_events=16, outage_budget_s=PATIENCE_S)
    settings = BridgeSettings(nats=nats_settings, log=log)
    async with AsyncExitStack() as stack:

        async def connect():
            return await stack.enter_async_context(JetStreamBridge(settings))

        yield connect


class Publisher:
    """Publishes to one run until told to end it."""

    def __init__(self, bridge, run):
        self._bridge = bridge
        self.run = run
        self.acknowledged = []

    async def create(self):
        run = self.run
        self.acknowledged.append(await self._bridge.create(run.run_id, thread_id=run.thread_id))

    async def publish(self, rng, is_over):
        run_id = self.run.run_id
        while not is_over.is_set():
            burst = rng.choice((1, 1, 1, 2, 5, 30))
            events = [new_event("note", len(self.acknowledged) + n) for n in range(burst)]
            if rng.random() < 0.5:
                self.acknowledged += await self._bridge.publish_many(run_id, events)
            else:
                self.acknowledged += await asyncio.gather(
                    *(self._bridge.publish_event(run_id, event) for event in events)
                )
            await asyncio.sleep(rng.expovariate(2.0))
        self.acknowledged.append(await self._bridge.publish_end(run_id))


class Account:
    """What one reader was told of its run, checked as it comes."""

    def __init__(self):
        self.delivered = {}
        self.missing = 0
        self.joins = 0
        self.position = None
        self.last_id = None

    def join(self):
        """Return the cursor to resume with; what was told behind it is told again."""
        self.joins += 1
        self.position = None if self.last_id is None else int(self.last_id.split("-")[1])
        return self.last_id

    def take(self, item):
        if isinstance(item, StreamGap):
            assert item.reason is GapReason.EVICTED, item
            assert item.missing > 0, item
            self.missing += item.missing
            self.position += item.missing
            assert item.earliest_available_event_id.endswith(f"-{self.position + 1}"), item
        elif isinstance(item, StreamEvent):
            # A reader without a cursor starts at whatever is retained.
            assert self.position is None or item.run_seq == self.position + 1, item
            self.position, self.last_id = item.run_seq, item.id
            self.delivered[item.run_seq] = (item.id, item.data)


async def read(bridges, run, rng):
    """Read a run to its end, joining anywhere and leaving at any moment."""
    account = Account()
    while True:
        await asyncio.sleep(rng.expovariate(4.0))
        try:
            async with asyncio.timeout(rng.expovariate(0.7)):
                if await read_some(rng.choice(bridges), run, account, rng):
                    return account
        except TimeoutError:
            continue


async def read_some(bridge, run, account, rng):
    """Read on from where the account stands; tell whether the run has ended."""
    left = rng.randint(1, 100)
    async with bridge.subscribe(run.run_id, last_event_id=account.join()) as items:
        async for item in items:
            if item is END:
                return True
            account.take(item)
            left -= isinstance(item, StreamEvent)
            if left <= 0:
                return False
    return False


async def trim(bridge, rng):
    """Trim one run after the other, without a pause worth mentioning."""
    while True:
        await bridge.trim(rng.choice(RUNS).run_id, keep=rng.choice((1, 3, 10, 50)))
        await asyncio.sleep(0.005)


async def test_readers_that_come_and_go_account_for_every_event(
    server, connect, chaos_factor, eventually
):
    rng = random.Random()
    publishing, trimming = await connect(), await connect()
    reading = [await connect(), await connect()]
    publishers = [Publisher(publishing, run) for run in RUNS]
    await asyncio.gather(*(publisher.create() for publisher in publishers))
    is_over = asyncio.Event()
    rounds = KILLS * chaos_factor
    async with asyncio.timeout(PATIENCE_S * (1 + rounds)), asyncio.TaskGroup() as tasks:
        trimmer = tasks.create_task(trim(trimming, rng))
        for publisher in publishers:
            tasks.create_task(publisher.publish(rng, is_over))
        readers = {
            run: [tasks.create_task(read(reading, run, rng)) for _ in range(READERS_PER_RUN)]
            for run in RUNS
        }
        for _ in range(rounds):
            await asyncio.sleep(rng.uniform(0.5, 1.5) * LOAD_S)
            await server.kill()
            await eventually(lambda: not publishing.is_connected, within_s=PATIENCE_S)
            await server.restart()
        await asyncio.sleep(LOAD_S)
        is_over.set()
        await asyncio.wait([task for each in readers.values() for task in each])
        trimmer.cancel()
    accounts = {run: [reader.result() for reader in each] for run, each in readers.items()}
    for publisher in publishers:
        check(publisher.acknowledged, accounts[publisher.run])
    everybody = [account for each in accounts.values() for account in each]
    assert sum(account.missing for account in everybody) > 0
    assert sum(account.joins for account in everybody) > 2 * len(everybody)


def check(acknowledged, accounts):
    """What readers were told of a run is what its publisher knows of it."""
    for account in accounts:
        assert account.position == len(acknowledged)
        for run_seq, (event_id, data) in account.delivered.items():
            assert event_id == acknowledged[run_seq - 1]
            assert data == run_seq - 1 or run_seq in (1, account.position)
