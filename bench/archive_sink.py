"""The sink beside a bare loop: both drain the same log, write the same lines and sync as often.

The bare loop is nats-py's own pull subscription: it fetches as many events as the sink does, puts
their facts into lines, writes each run's lines with one call, syncs each file, and acknowledges
every message. It checks nothing, reads no file before it writes, and would double what comes again.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from bench.archived import caught_up, files_below, sinking
from bench.report import Figure
from bench.rounds import TimedAction, in_turns, rate, timed
from bench.setting import DATA, EVENT, bare_client, new_run, open_bridge, running_server
from bridge import JetStreamBridge, RetentionSettings, new_event, wire
from bridge.subjects import Subjects
from store import ArchiveSettings
from store.sink_status import CONSUMER

TITLE: Final = "events a second from a full log into files, 200-byte events"
EVENTS: Final = 50_000
SMOKE_EVENTS: Final = 5_000
ROUNDS: Final = 5
SMOKE_ROUNDS: Final = 1
#: Runs that publish at the same time, in pieces of this size.
RUNS: Final = (1, 50)
PIECE: Final = 20

_NAMES: Final = Subjects()
_SETTINGS: Final = ArchiveSettings()
#: The log must be the same for all who drain it.
_KEEP_ALL: Final = RetentionSettings(max_events_per_run=EVENTS * 2, max_bytes_per_run=1 << 40)
_LINE: Final = (
    '{"thread_id":"%s","run_id":"%s","seq":%s,"run_seq":%s,"created_at":"%s",'
    '"event_type":"%s","category":"%s","metadata":%s,"content":%s}\n'
)


async def measure(*, smoke: bool) -> list[Figure]:
    count = SMOKE_EVENTS if smoke else EVENTS
    figures = []
    for runs in RUNS:
        async with _draining(count, runs) as actions:
            seconds = await in_turns(SMOKE_ROUNDS if smoke else ROUNDS, actions)
        rates = {name: rate(count, each) for name, each in seconds.items()}
        figures.append(
            Figure(
                f"sink, {runs} run{'s' * (runs > 1)} at once",
                rates["sink"],
                "/s",
                "bare loop of fetch, write, sync, ack",
                rates["bare"],
                "ratio >= 0.7",
            )
        )
    return figures


@asynccontextmanager
async def _draining(count: int, runs: int) -> AsyncGenerator[dict[str, TimedAction]]:
    async with (
        running_server() as server,
        open_bridge(server, _KEEP_ALL) as bridge,
        bare_client(server) as client,
    ):
        stored = await _fill(bridge, count, runs)
        yield {
            "sink": partial(_drain, bridge, stored),
            "bare": timed(partial(_drain_bare, client.jetstream(), stored)),
        }


async def _fill(bridge: JetStreamBridge, count: int, runs: int) -> int:
    """Store about so many events of interleaved runs; returns how many there are."""
    run_ids = [await new_run(bridge) for _ in range(runs)]
    events = [new_event(EVENT, DATA)] * PIECE
    for _ in range(count // (PIECE * runs)):
        await asyncio.gather(*(bridge.publish_many(run_id, events) for run_id in run_ids))
    return count // (PIECE * runs) * PIECE * runs + runs


async def _drain(bridge: JetStreamBridge, stored: int) -> float:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with sinking(bridge, Path(directory), _SETTINGS):
            await caught_up(bridge)
            seconds = time.perf_counter() - started  # it takes its time to stop
        assert _lines(directory) == stored
    await bridge.delete_consumer(CONSUMER)
    return seconds


async def _drain_bare(jetstream: JetStreamContext, stored: int) -> None:
    stream = _NAMES.events_stream
    config = ConsumerConfig(
        ack_policy=AckPolicy.EXPLICIT, max_ack_pending=_SETTINGS.max_ack_pending
    )
    subscription = await jetstream.pull_subscribe(
        _NAMES.all_events, durable="bare", stream=stream, config=config
    )
    files: dict[str, int] = {}
    left = stored
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        while left:
            batch = await subscription.fetch(min(left, _SETTINGS.max_batch_events), timeout=5)
            _write(Path(directory), files, batch)
            for message in batch:
                await message.ack()
            left -= len(batch)
        # The acknowledgements are on the server once it has answered.
        await jetstream.consumer_info(stream, "bare")
        for fd in files.values():
            os.close(fd)
        assert _lines(directory) == stored
    await jetstream.delete_consumer(stream, "bare")


def _write(directory: Path, files: dict[str, int], batch: Iterable[Msg]) -> None:
    groups: dict[str, list[str]] = {}
    for message in batch:
        groups.setdefault(message.subject, []).append(_line(message))
    for subject, lines in groups.items():
        if subject not in files:
            path = directory / f"{subject}.jsonl"
            files[subject] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(files[subject], "".join(lines).encode())
        os.fdatasync(files[subject])


def _line(message: Msg) -> str:
    _, _, _, thread_id, run_id = message.subject.split(".")
    headers = message.headers or {}
    return _LINE % (
        thread_id,
        run_id,
        message.reply.split(".")[5],
        headers[wire.SEQ],
        headers[wire.TIME],
        headers[wire.EVENT],
        headers[wire.CATEGORY],
        headers.get(wire.META, "null"),
        message.data.decode(),
    )


def _lines(directory: str) -> int:
    return sum(path.read_bytes().count(b"\n") for path in files_below(Path(directory)))
