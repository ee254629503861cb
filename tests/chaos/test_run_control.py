"""Run control under races of many gateways and under SIGKILL of any process.

Clients speak HTTP to gateways that are processes of their own. What counts is read from the logs:
never two runs of a thread at once, no run lost, exactly one terminal each, and records, threads and
waiting clients that agree with them.
"""

import asyncio
import random
import time
from itertools import pairwise

import pytest
from fleet import Client, Fleet, open_session

from api.settings import Settings
from bridge import (
    END,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    StreamEvent,
)
from runs import (
    AssistantCatalog,
    AssistantSettings,
    RunManager,
    RunSettings,
    RunsFacade,
    WorkerSettings,
    outcome_of,
)

pytestmark = pytest.mark.chaos

GATEWAYS = 8
THREADS, FEW_THREADS = 50, 3
STRATEGIES = ("enqueue", "interrupt", "rollback", "reject")
#: Of `make test` and, with its factor of 20, of `make chaos`: 15 and 200.
ROUNDS, MORE_ROUNDS = 15, 10
LEASE_S = 2.0
HANDLER = """
import asyncio

async def works(ctx, given):
    for n in range(given["steps"]):
        yield "step", n
        await asyncio.sleep(given["pause_s"])
    ctx.result(ctx.run_id)
"""
QUICK = {"steps": 1, "pause_s": 0.005}
SLOW = {"steps": 3, "pause_s": 0.05}


@pytest.fixture
def settings(server, tmp_path):
    """Settings of all processes of one test."""
    handler = tmp_path / "handler.py"
    handler.write_text(HANDLER)
    return Settings(
        nats=NatsSettings(url=server.url, user=server.user, password=server.password),
        data=tmp_path / "data",
        assistants={"works": AssistantSettings(function=f"{handler}:works")},
        worker=WorkerSettings(lease_s=LEASE_S, probe_s=1.5, cancel_grace_s=0.5),
        runs=RunSettings(stale_s=1),
    )


@pytest.fixture
async def fleet(settings, tmp_path):
    (tmp_path / "logs").mkdir()
    started = Fleet(settings, tmp_path / "logs")
    yield started
    await started.close()


@pytest.fixture
async def bridge(settings):
    """The judge's own connection."""
    log = LogSettings(outage_budget_s=60)
    patient = settings.bridge.model_copy(update={"log": log})
    async with JetStreamBridge(patient) as opened:
        yield opened


@pytest.fixture
def facade(bridge, settings):
    return RunsFacade(RunManager(bridge, AssistantCatalog(settings.assistants)), bridge)


async def log_of(bridge, run_id):
    events = []
    async with bridge.follow(run_id) as following:
        async for batch in following.batches():
            events.extend(item for item in batch if isinstance(item, StreamEvent))
            if batch[-1] is END:
                return events
    return pytest.fail(f"run {run_id} has no end")


def assert_ended_once(events):
    assert [event.run_seq for event in events] == list(range(1, len(events) + 1))
    assert [event.is_terminal for event in events] == [False] * (len(events) - 1) + [True]


def span_of(events):
    """Return the sequences between which a run was executed; None when it never was."""
    steps = [event for event in events if event.event == "step"]
    return (steps[0].event_id.stream_seq, events[-1].event_id.stream_seq) if steps else None


@pytest.fixture
def assert_settled(bridge, facade, eventually):
    """Check a thread that shall be free; return the logs of its runs by run id."""

    async def check(thread_id, *, within_s=LEASE_S + 5):
        async def is_free():
            thread = await facade.get_thread(thread_id)
            return (thread.inflight_ids, thread.cancels) == ((), {})

        await eventually(is_free, within_s=within_s, what=f"{thread_id} is free")
        logs = {run: await log_of(bridge, run) for run in await bridge.list_runs(thread_id)}
        for run_id, events in logs.items():
            assert_ended_once(events)
            record = await facade.find_run(run_id)
            if record is not None:  # else it was rolled back
                assert record.status is outcome_of(events[-1]).status
        spans = sorted(span for span in map(span_of, logs.values()) if span)
        for earlier, later in pairwise(spans):
            assert earlier[1] < later[0], f"two runs of {thread_id} were executed at once"
        return logs

    return check


async def create_everywhere(client, threads, rounds):
    """Create ``rounds`` runs on each thread, one after the other per thread; return the runs."""
    created = []

    async def create_on(thread_id, strategy):
        for _ in range(rounds):
            status, run = await client.create(thread_id, strategy, QUICK)
            if status == 200:
                created.append(run)
            else:
                assert run["code"] in ("run-conflict", "queue-full"), run

    for n in range(0, len(threads), 8):
        await asyncio.gather(*(create_on(*each) for each in threads[n : n + 8]))
    return created


async def test_eight_gateways_on_the_same_threads_never_run_two_at_once_and_lose_none(
    fleet, assert_settled, chaos_factor
):
    count = THREADS // len(STRATEGIES) + 1 if chaos_factor > 1 else FEW_THREADS
    threads = [(f"{strategy}-{n}", strategy) for n in range(count) for strategy in STRATEGIES]
    starting = [fleet.gateway() for _ in range(GATEWAYS)]
    gateways = await asyncio.gather(*starting, fleet.worker(), fleet.worker())
    rounds = 1 + min(chaos_factor, 5)
    async with open_session() as session:
        clients = [Client(session, [url], random.Random(url)) for _, url in gateways[:GATEWAYS]]
        created = await asyncio.gather(
            *(create_everywhere(client, threads, rounds) for client in clients)
        )
    for thread_id, strategy in threads:
        mine = [
            [run["run_id"] for run in runs if run["thread_id"] == thread_id] for runs in created
        ]
        logs = await assert_settled(thread_id, within_s=60 * (1 + chaos_factor))
        assert logs.keys() == {run_id for runs in mine for run_id in runs}
        assert logs
        if strategy in ("enqueue", "reject"):
            assert {events[-1].event for events in logs.values()} == {"end"}
        for runs in mine:
            executed = [span for run_id in runs if (span := span_of(logs[run_id]))]
            assert executed == sorted(executed), f"{thread_id} was not executed in order"


class Users:
    """Clients that create, cancel and roll back runs, and wait for each run that they created."""

    def __init__(self, client, threads, random_):
        self.created = []
        self.waiting = []
        self._client = client
        self._threads = threads
        self._random = random_

    async def act(self):
        """Do random things until cancelled."""
        while True:
            if self.created and self._random.random() < 0.4:
                await self._stop(self._random.choice(self.created[-20:]))
            else:
                await self._create()
            await asyncio.sleep(self._random.uniform(0, 0.15))

    async def _create(self):
        thread_id, strategy = self._random.choice(self._threads)
        later = {"after_seconds": 0.3} if self._random.random() < 0.2 else {}
        status, run = await self._client.create(thread_id, strategy, SLOW, **later)
        if status == 200:
            self.created.append(run)
            self.waiting.append(asyncio.create_task(self._wait(run)))
        else:
            # A repeat whose run was rolled back before it was answered.
            assert run["code"] in ("queue-full", "run-conflict", "idempotency-key-used"), run

    async def _wait(self, run):
        status, outcome = await self._client.wait(run)
        if status == 200 and outcome != run["run_id"]:
            # What is rolled back is gone, before or after it has ended.
            stopped = ("RunInterruptedError", "RunNotFoundError", "DeadLetter")
            assert outcome["__error__"]["error"] in stopped, outcome
        assert status in (200, 404), outcome

    async def _stop(self, run):
        action = self._random.choice(("interrupt", "rollback"))
        path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/cancel?action={action}"
        status, problem = await self._client.ask("POST", path)
        assert status in (202, 404, 409), problem


class Havoc:
    """Kills workers, gateways and the server, and starts their successors."""

    def __init__(self, server, fleet, random_):
        self.urls = []
        self._server = server
        self._fleet = fleet
        self._random = random_
        self._workers = []
        self._gateways = []

    async def start(self):
        self._workers = [await self._fleet.worker() for _ in range(2)]
        for _ in range(3):
            await self._start_gateway()

    async def _start_gateway(self, port=0):
        process, url = await self._fleet.gateway(port)
        self._gateways.append((process, url))
        if url not in self.urls:
            self.urls.append(url)

    async def kill_one(self):
        match self._random.choice(("worker", "gateway", "server")):
            case "worker":
                worker = self._workers.pop(0)
                assert worker.returncode is None, "a worker ended by itself"
                worker.kill()
                self._workers.append(await self._fleet.worker())
            case "gateway":
                process, url = self._gateways.pop(0)
                assert process.returncode is None, "a gateway ended by itself"
                process.kill()
                await process.wait()
                await self._start_gateway(int(url.rsplit(":", 1)[1]))
            case "server":
                await self._server.kill()
                await asyncio.sleep(self._random.choice((0, 0.3, LEASE_S + 0.5)))
                await self._server.restart()


async def test_whoever_is_killed_every_run_ends_once_and_every_thread_is_free(
    server, facade, fleet, assert_settled, chaos_factor
):
    random_ = random.Random(20_26)
    threads = [(f"t-{n}", STRATEGIES[n % 3]) for n in range(9)]
    for thread_id, _ in threads:
        await facade.create_thread(thread_id=thread_id)
    havoc = Havoc(server, fleet, random_)
    await havoc.start()
    async with open_session() as session:
        users = Users(Client(session, havoc.urls, random_), threads, random_)
        acting = [asyncio.create_task(users.act()) for _ in range(3)]
        for _ in range(ROUNDS if chaos_factor == 1 else MORE_ROUNDS * chaos_factor):
            await asyncio.sleep(random_.uniform(0, 1))
            await havoc.kill_one()
            for each in acting:
                assert not each.done(), each.result()
        for each in acting:
            each.cancel()
        await asyncio.wait(acting)
        # Runs in line are executed one after the other: the bound grows with the longest line.
        lines = [len((await facade.get_thread(thread_id)).inflight_ids) for thread_id, _ in threads]
        within_s = LEASE_S + 5 + max(lines) * 0.5
        deadline = time.monotonic() + within_s
        _, late = await asyncio.wait(users.waiting, timeout=within_s)
        assert not late, f"{len(late)} clients still wait"
        for wait in users.waiting:
            wait.result()
    logs = {}
    for thread_id, _ in threads:
        logs |= await assert_settled(thread_id, within_s=max(1, deadline - time.monotonic()))
    assert {run["run_id"] for run in users.created} <= logs.keys()
