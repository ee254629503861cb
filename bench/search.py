"""Search among many ended runs over HTTP, and start a gateway that keeps them in its read model.

Ten runs a thread, half of them of one user, with two names in their metadata: one common, one rare.
A search reads its tables, and the page's records from NATS. Its baseline is ``GET /ok`` on the same
connection: HTTP and client alone. A start lasts from exec to the answer of the first search.
"""

import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from aiohttp import ClientSession

from api.settings import Settings
from bench.children import gateway, settings_of
from bench.report import Figure
from bench.rounds import TimedAction, in_turns, percentile, timed
from bench.setting import bare_client, open_bridge, running_server
from bridge import new_id
from bridge.server.embedded import EmbeddedServer
from bridge.subjects import Subjects
from runs import LastRun, RunRecord, RunStatus, ThreadRecord

TITLE: Final = "search among ended runs, and the start of a gateway with them"
RUNS: Final = 100_000
SMOKE_RUNS: Final = 2_000
PER_THREAD: Final = 10
ROUNDS: Final = 200
SMOKE_ROUNDS: Final = 10
STARTS: Final = 3
_RARE: Final = 1000
_BURST: Final = 1000
_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_READ_MODEL: Final = "read_model"


async def measure(*, smoke: bool) -> list[Figure]:
    count = SMOKE_RUNS if smoke else RUNS
    async with stored_runs(count) as settings, stored_runs(0) as empty:
        starts = await _starts(settings, empty, 1 if smoke else STARTS)
        searches = await _searches(settings, count, SMOKE_ROUNDS if smoke else ROUNDS)
    return [*_figures_of_starts(count, starts), *_figures_of_searches(count, searches)]


@asynccontextmanager
async def stored_runs(count: int) -> AsyncGenerator[Settings]:
    """Run a server whose state stream holds ``count`` ended runs; yields the gateway's settings."""
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with running_server() as server:
            async with open_bridge(server):
                await _store(server, count)
            settings = settings_of(server, Path(directory))
            patient = settings.read_model.model_copy(update={"wait_s": 600.0})
            yield settings.model_copy(update={"read_model": patient})


async def _store(server: EmbeddedServer, count: int) -> None:
    async with bare_client(server) as client:
        jetstream = client.jetstream()
        for number, (subject, value) in enumerate(_records(count), start=1):
            if number % _BURST:
                await client.publish(subject, value)
            else:
                await jetstream.publish(subject, value)  # its ack comes after all before it
        state = (await jetstream.stream_info(Subjects().state_stream)).state
        assert state.messages >= 2 * count, state


def _records(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield what run control leaves of ended runs: record, thread reference, thread."""
    subjects = Subjects()
    for first in range(0, count, PER_THREAD):
        thread_id, user_id = new_id(), f"user-{first // PER_THREAD % 2}"
        at = _AT + timedelta(seconds=first)
        for number in range(first, first + PER_THREAD):
            run = _run(number, thread_id, user_id, at)
            yield subjects.state("run", run.run_id), run.encode()
            yield subjects.state("ref", run.run_id), thread_id.encode()
        thread = ThreadRecord(
            thread_id=thread_id,
            user_id=user_id,
            metadata={"common": "yes", "rare": first // _RARE},
            created_at=at,
            updated_at=at,
            last=LastRun(run_id=run.run_id, status=run.status),
        )
        yield subjects.state("thread", thread_id), thread.encode()


def _run(number: int, thread_id: str, user_id: str, at: datetime) -> RunRecord:
    return RunRecord(
        run_id=new_id(),
        thread_id=thread_id,
        assistant_id=new_id(),
        executor="echo",
        user_id=user_id,
        status=RunStatus.SUCCESS if number % 50 else RunStatus.ERROR,
        metadata={"common": "yes", "rare": number // _RARE},
        kwargs={"input": {"text": "x" * 200}},
        attempt=1,
        created_at=at,
        updated_at=at,
        started_at=at,
        ended_at=at,
    )


async def _starts(settings: Settings, empty: Settings, rounds: int) -> dict[str, list[float]]:
    kept = settings.data / _READ_MODEL

    async def without_file() -> float:
        shutil.rmtree(kept, ignore_errors=True)
        return await _start(settings)

    return await in_turns(
        rounds,
        {
            # The one after it finds the file that it left.
            "without file": without_file,
            "with file": partial(_start, settings),
            "without runs": partial(_start, empty),
        },
    )


async def _start(settings: Settings) -> float:
    started = time.perf_counter()
    async with gateway(settings) as (_, url), ClientSession(url) as session:
        await _search(session, {"limit": 1})
        return time.perf_counter() - started


async def _search(session: ClientSession, body: dict[str, Any], of: str = "runs") -> None:
    async with session.post(f"/{of}/search", json=body) as answer:
        assert answer.status == 200, await answer.text()  # noqa: PLR2004 - OK
        await answer.read()


def _asked(count: int) -> dict[str, tuple[str, dict[str, Any]]]:
    return {
        "newest runs": ("runs", {}),
        "newest runs of a status": ("runs", {"status": "error"}),
        "runs with rare metadata": ("runs", {"metadata": {"rare": 1}}),
        "runs with metadata that all have": ("runs", {"metadata": {"common": "yes"}}),
        "a page in the middle": ("runs", {"offset": count // 2}),
        "newest threads": ("threads", {}),
        "threads with rare metadata": ("threads", {"metadata": {"rare": 1}}),
    }


async def _searches(settings: Settings, count: int, rounds: int) -> dict[str, list[float]]:
    async with gateway(settings) as (_, url), ClientSession(url) as session:

        async def ok() -> None:
            async with session.get("/ok") as answer:
                await answer.read()

        actions: dict[str, TimedAction] = {
            name: timed(partial(_search, session, body, of))
            for name, (of, body) in _asked(count).items()
        }
        return await in_turns(rounds, {**actions, "ok": timed(ok)})


def _figures_of_starts(count: int, seconds: dict[str, list[float]]) -> list[Figure]:
    middle = {name: median(values) for name, values in seconds.items()}
    return [
        Figure(
            f"start with the file of {count} runs",
            middle["with file"],
            "s",
            "start without any runs",
            middle["without runs"],
            "<= 5 s",
        ),
        Figure(
            f"start without a file, {count} runs read anew",
            middle["without file"],
            "s",
            "start with the file",
            middle["with file"],
        ),
    ]


def _figures_of_searches(count: int, seconds: dict[str, list[float]]) -> list[Figure]:
    millis = {name: [each * 1000 for each in values] for name, values in seconds.items()}
    baseline = "GET /ok", median(millis.pop("ok"))
    middle = [
        Figure(f"{name}, of {count} runs, median", median(values), "ms", *baseline, "<= 10 ms")
        for name, values in millis.items()
    ]
    slow = percentile(millis["newest runs"], 0.99)
    return [*middle, Figure("newest runs, 99th percentile", slow, "ms", *baseline)]
