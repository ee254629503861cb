"""Run control under races of many processes and under SIGKILL of any of them.

What counts is read from the logs: never two runs of a thread at once, no run lost, exactly one
terminal each, and records, threads and waiting clients that agree with them.
"""

import asyncio
import json
import os
import random
import sys
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from bridge import (
    END,
    BridgeSettings,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    StreamEvent,
)
from runs import (
    AssistantCatalog,
    AssistantSettings,
    RunFailedError,
    RunInterruptedError,
    RunManager,
    RunNotFoundError,
    RunsFacade,
    RunSpec,
    outcome_of,
)

pytestmark = pytest.mark.chaos

CREATORS = 8
THREADS, FEW_THREADS = 50, 12
STRATEGIES = ("enqueue", "interrupt", "rollback", "reject")
KILLS = 6
LEASE_S = 2.0
HANDLER = """
import asyncio

async def works(ctx, given):
    for n in range(given["steps"]):
        yield "step", n
        await asyncio.sleep(given["pause_s"])
    ctx.result(ctx.run_id)
"""


@pytest.fixture
def nats(server):
    return {
        "url": server.url,
        "user": server.user,
        "password": server.password.get_secret_value(),
    }


@pytest.fixture
def function(tmp_path):
    path = tmp_path / "handler.py"
    path.write_text(HANDLER)
    return f"{path}:works"


@pytest.fixture
async def bridge(nats):
    async with AsyncExitStack() as stack:
        log = LogSettings(outage_budget_s=60)
        settings = BridgeSettings(nats=NatsSettings(**nats), log=log)
        yield await stack.enter_async_context(JetStreamBridge(settings))


@pytest.fixture
def facade(bridge, function):
    declared = {"works": AssistantSettings(function=function)}
    return RunsFacade(RunManager(bridge, AssistantCatalog(declared)), bridge)


@pytest.fixture
async def processes(nats, function, tmp_path):
    """Start workers and creators as processes; all end with the test."""
    started = []

    class Processes:
        async def worker(self):
            catalog = {"works": {"function": function}}
            environment = {
                **{name: value for name, value in os.environ.items() if "JETRUN" not in name},
                **{f"JETRUN_NATS__{name.upper()}": value for name, value in nats.items()},
                "JETRUN_ASSISTANTS": json.dumps(catalog),
                "JETRUN_WORKER__LEASE_S": str(LEASE_S),
                "JETRUN_WORKER__PROBE_S": "1.5",
                "JETRUN_WORKER__CANCEL_GRACE_S": "0.5",
                "JETRUN_RUNS__STALE_S": "1",
            }
            return await self._start([sys.executable, "-P", "-m", "runs.worker"], environment)

        async def creator(self, **orders):
            facts = {"nats": nats, "assistant": "works", "function": function, **orders}
            script = str(Path(__file__).with_name("run_creators.py"))
            return await self._start([sys.executable, script, json.dumps(facts)], dict(os.environ))

        async def _start(self, command, environment):
            with (tmp_path / f"{len(started)}.log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=log
                )
            started.append(process)
            return process

    yield Processes()
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def told_by(creator):
    """Return what a creator wrote; a line that its death cut off does not count."""
    output, _ = await creator.communicate()
    return [json.loads(line) for line in output.split(b"\n")[:-1]]


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
            return (thread.active, thread.queue, thread.cancels) == (None, (), {})

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


async def test_eight_processes_on_the_same_threads_never_run_two_at_once_and_lose_none(
    processes, assert_settled, chaos_factor
):
    count = THREADS if chaos_factor > 1 else FEW_THREADS // len(STRATEGIES)
    threads = [(f"{strategy}-{n}", strategy) for n in range(count) for strategy in STRATEGIES]
    for _ in range(2):
        await processes.worker()
    creators = [
        await processes.creator(
            name=f"c{n}",
            work="create_everywhere",
            threads=threads,
            rounds=1 + min(chaos_factor, 5),
            input={"steps": 1, "pause_s": 0.005},
        )
        for n in range(CREATORS)
    ]
    told = await asyncio.gather(*map(told_by, creators))
    assert [creator.returncode for creator in creators] == [0] * CREATORS
    created = [run for runs in told for run in runs]
    for thread_id, strategy in threads:
        mine = [run["run_id"] for run in created if run["thread_id"] == thread_id]
        assert mine
        logs = await assert_settled(thread_id, within_s=60 * (1 + chaos_factor))
        assert logs.keys() == set(mine)
        if strategy in ("enqueue", "reject"):
            assert {events[-1].event for events in logs.values()} == {"end"}
        for runs in told:
            spans = [span_of(logs[run["run_id"]]) for run in runs if run["run_id"] in logs]
            executed = [span for span in spans if span]
            assert executed == sorted(executed), f"{thread_id} was not executed in order"


class Client:
    """Creates runs at a gateway that is never killed, and waits for each of them."""

    def __init__(self, facade, threads):
        self._facade = facade
        self._threads = threads
        self.waiting = []

    async def create(self, random_):
        thread, strategy = random_.choice(self._threads)
        spec = RunSpec(
            thread_id=thread,
            assistant_id="works",
            input={"steps": 3, "pause_s": 0.05},
            multitask_strategy=strategy,
            if_not_exists="create",
        )
        run = await self._facade.create_background(spec)
        self.waiting.append(asyncio.create_task(self._wait(run)))

    async def _wait(self, run):
        try:
            assert await self._facade.join_wait(run.thread_id, run.run_id) == run.run_id
        except (RunFailedError, RunInterruptedError, RunNotFoundError):
            return


class Havoc:
    """Workers, creators and a server, of which one after the other is killed."""

    def __init__(self, server, processes, threads):
        self.told = []
        self._random = random.Random(20_26)
        self._server = server
        self._processes = processes
        self._threads = threads
        self._workers = []
        self._creators = []

    async def start(self):
        for n in range(2):
            self._workers.append(await self._processes.worker())
            await self._start_creator(f"c{n}")

    async def _start_creator(self, name):
        given = {"steps": 3, "pause_s": 0.05}
        orders = {"work": "wreak_havoc", "threads": self._threads, "input": given}
        self._creators.append(await self._processes.creator(name=name, **orders))

    async def kill(self, number):
        match ("worker", "creator", "server")[number % 3]:
            case "worker":
                worker = self._workers.pop(0)
                assert worker.returncode is None, "a worker ended by itself"
                worker.kill()
                self._workers.append(await self._processes.worker())
            case "creator":
                await self._kill_creator()
                await self._start_creator(f"k{number}")
            case "server":
                await self._server.kill()
                await asyncio.sleep(self._random.choice((0, 0.3, LEASE_S + 0.5)))
                await self._server.restart()

    async def _kill_creator(self):
        creator = self._creators.pop(0)
        assert creator.returncode is None, "a creator ended by itself"
        creator.kill()
        self.told += await told_by(creator)

    async def kill_creators(self):
        while self._creators:
            await self._kill_creator()


async def test_whoever_is_killed_every_run_ends_once_and_every_thread_is_free(
    server, facade, processes, assert_settled, chaos_factor
):
    random_ = random.Random(20_26)
    threads = [(f"t-{n}", STRATEGIES[n % 3]) for n in range(9)]
    for thread_id, _ in threads:
        await facade.create_thread(thread_id=thread_id)
    client = Client(facade, threads)
    havoc = Havoc(server, processes, threads)
    await havoc.start()
    for number in range(KILLS * chaos_factor):
        for _ in range(5):
            await client.create(random_)
            await asyncio.sleep(random_.uniform(0, 0.4))
        await havoc.kill(number)
    await havoc.kill_creators()
    # Runs in line are executed one after the other, so the bound grows with the longest line.
    lines = [len((await facade.get_thread(thread_id)).inflight_ids) for thread_id, _ in threads]
    _, late = await asyncio.wait(client.waiting, timeout=LEASE_S + 5 + max(lines) * 0.5)
    assert not late
    for wait in client.waiting:
        wait.result()
    logs = {}
    for thread_id, _ in threads:
        logs |= await assert_settled(thread_id)
    assert {run["run_id"] for run in havoc.told} <= logs.keys()
