"""Create a run over HTTP and wait for its result: how many a second, and how long each takes.

A trivial function is executed by a worker; gateway, worker, nats-server and client share the
machine. Each client creates a run in a thread of its own, waits for it, and begins anew.
Beside it: what the first write of run control costs on top of one compare-and-set publish.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final
from uuid import uuid4

from aiohttp import ClientSession, TCPConnector
from nats.js.api import Header, StorageType, StreamConfig

from bench.children import gateway, settings_of, worker
from bench.report import Figure
from bench.rounds import in_turns, percentile, timed
from bench.setting import bare_client, open_bridge, running_server
from runs import AssistantCatalog, MultitaskStrategy, RunManager, RunSpec

TITLE: Final = "Create a run of a trivial function over HTTP and wait for its result"
CONCURRENT: Final = 10
RUNS: Final = 200
SMOKE_RUNS: Final = 10
ROUNDS: Final = 15
SMOKE_ROUNDS: Final = 1
CREATES: Final = 100
SMOKE_CREATES: Final = 5
_BODY: Final = {"assistant_id": "echo", "input": {"events": 0, "values": 1}}


async def measure(*, smoke: bool) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        return [
            *await _over_http(Path(directory), SMOKE_RUNS if smoke else RUNS, smoke=smoke),
            await _creates(SMOKE_CREATES if smoke else CREATES, smoke=smoke),
        ]


async def _over_http(directory: Path, runs: int, *, smoke: bool) -> list[Figure]:
    latencies: list[float] = []
    async with running_server() as server:
        settings = settings_of(server, directory)
        async with gateway(settings) as (_, url), worker(settings), _session(url) as session:
            await _create_and_wait(session)  # once the worker is there

            async def client(count: int) -> None:
                latencies.extend([await _create_and_wait(session) for _ in range(count)])

            async def burst() -> None:
                await asyncio.gather(*(client(runs // CONCURRENT or 1) for _ in range(CONCURRENT)))

            rounds = SMOKE_ROUNDS if smoke else ROUNDS
            seconds = (await in_turns(rounds, {"ours": timed(burst)}))["ours"]
    made = max(1, runs // CONCURRENT) * CONCURRENT
    return [
        Figure("runs, 10 at a time", made / median(seconds), "/s", target=">= 250 /s on 2 cores"),
        Figure("median of one", median(latencies) * 1000, "ms", target="<= 40 ms on 2 cores"),
        Figure("99 % of them", percentile(latencies, 0.99) * 1000, "ms"),
    ]


@asynccontextmanager
async def _session(url: str) -> AsyncGenerator[ClientSession]:
    async with ClientSession(url, connector=TCPConnector(limit=CONCURRENT)) as session:
        yield session


async def _create_and_wait(session: ClientSession) -> float:
    started = time.perf_counter()
    async with session.post("/runs/wait", json=_BODY) as answer:
        assert await answer.json() == 1
    return time.perf_counter() - started


async def _creates(count: int, *, smoke: bool) -> Figure:
    """Compare creating a run on a thread that is there with one compare-and-set publish."""
    async with (
        running_server() as server,
        open_bridge(server) as bridge,
        bare_client(server) as client,
    ):
        manager = RunManager(bridge, AssistantCatalog())
        jetstream = client.jetstream()
        await jetstream.add_stream(
            StreamConfig(name="BARE", subjects=["bare.*"], storage=StorageType.FILE)
        )
        threads: list[str] = []

        async def prepared() -> float:
            threads[:] = [(await manager.create_thread()).thread_id for _ in range(count)]
            started = time.perf_counter()
            for thread_id in threads:
                await manager.create(
                    RunSpec(
                        assistant_id="echo",
                        thread_id=thread_id,
                        multitask_strategy=MultitaskStrategy.REJECT,
                    )
                )
            return time.perf_counter() - started

        async def publish() -> None:
            headers = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: "0"}
            for _ in range(count):
                await jetstream.publish(f"bare.{uuid4().hex}", b"x" * 500, headers=headers)

        rounds = SMOKE_ROUNDS if smoke else ROUNDS
        seconds = await in_turns(rounds, {"ours": prepared, "bare": timed(publish)})
        ours, bare = (median(seconds[name]) / count * 1000 for name in ("ours", "bare"))
    return Figure(
        "create a run, or reject it",
        ours,
        "ms",
        baseline="one compare-and-set publish by nats-py",
        baseline_value=bare,
        target="<= 5",
    )
