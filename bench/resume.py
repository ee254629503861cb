"""Resume near the end of a log: from bridge.follow with a cursor to the first event after it.

Half of a log is one run, the rest are runs of 1000 events, stored in between. A small and a large
log, each on a server of its own, are read in turns. The baseline is one bare Direct Get of the
event after the cursor, which is one round trip.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from statistics import median
from typing import Final, NamedTuple

from nats.js import JetStreamContext

from bench.report import Figure
from bench.rounds import TimedAction, in_turns, percentile, timed
from bench.setting import DATA, EVENT, bare_client, new_run, open_bridge, running_server
from bridge import JetStreamBridge, StreamEvent, new_event
from bridge.ids import EventId
from bridge.subjects import RunRef, Subjects

TITLE: Final = "time from bridge.follow with a cursor to the first event after it"
SMALL: Final = 10_000
LARGE: Final = 1_000_000
SMOKE_LARGE: Final = 100_000
SHORT_RUN: Final = 1000
#: How many events before the end a reader comes back.
BEHIND: Final = 10
ROUNDS: Final = 400
SMOKE_ROUNDS: Final = 20

_NAMES: Final = Subjects()
_KINDS: Final = ("long run", "short run")


class Place(NamedTuple):
    """Where a reader comes back: the last event that it has handled, and the one that follows."""

    run: RunRef
    cursor: EventId
    following: EventId


async def measure(*, smoke: bool) -> list[Figure]:
    sizes = SMALL, SMOKE_LARGE if smoke else LARGE
    async with _readers(sizes[0]) as small, _readers(sizes[1]) as large:
        actions = {
            f"{size} {what}": action
            for size, readers in zip(sizes, (small, large), strict=True)
            for what, action in readers.items()
        }
        seconds = await in_turns(SMOKE_ROUNDS if smoke else ROUNDS, actions)
    millis = {name: [each * 1000 for each in values] for name, values in seconds.items()}
    return [
        *(_against_bare(millis, size, kind) for size in sizes for kind in _KINDS),
        *(_against_small(millis, sizes, kind) for kind in _KINDS),
    ]


def _against_bare(millis: dict[str, list[float]], size: int, kind: str) -> Figure:
    values = millis[f"{size} {kind}"]
    return Figure(
        f"log of {size:,} events, {kind} (p99 {percentile(values, 0.99):.3g} ms)",
        median(values),
        "ms",
        "bare Direct Get of that event",
        median(millis[f"{size} bare"]),
        "<= 5 ms",
    )


def _against_small(millis: dict[str, list[float]], sizes: tuple[int, int], kind: str) -> Figure:
    small, large = sizes
    return Figure(
        f"log of {large:,} events, {kind}",
        median(millis[f"{large} {kind}"]),
        "ms",
        f"the same in the log of {small:,}",
        median(millis[f"{small} {kind}"]),
        "ratio <= 1.5",
    )


@asynccontextmanager
async def _readers(size: int) -> AsyncGenerator[dict[str, TimedAction]]:
    """Fill a log, and yield what reads it."""
    async with running_server() as server, bare_client(server) as client:
        async with open_bridge(server) as bridge:
            long_run, short_run = await _fill(bridge, size)
        # Another bridge reads: it has nothing of what the one that wrote remembers.
        async with open_bridge(server) as bridge:
            yield {
                "long run": timed(partial(_resume, bridge, long_run)),
                "short run": timed(partial(_resume, bridge, short_run)),
                "bare": timed(partial(_get, client.jetstream(), long_run)),
            }


async def _fill(bridge: JetStreamBridge, size: int) -> tuple[Place, Place]:
    """Store ``size`` events, half of them in one run."""
    long_run, short_runs = await asyncio.gather(
        _fill_run(bridge, size // 2), _fill_runs(bridge, size // 2)
    )
    return long_run, short_runs


async def _fill_runs(bridge: JetStreamBridge, count: int) -> Place:
    for _ in range(count // SHORT_RUN):
        place = await _fill_run(bridge, SHORT_RUN)
    return place


async def _fill_run(bridge: JetStreamBridge, count: int) -> Place:
    run_id = await new_run(bridge)
    thread_id = await bridge.find_thread(run_id)
    assert thread_id is not None
    events = [new_event(EVENT, DATA)] * SHORT_RUN
    for _ in range(count // SHORT_RUN):
        ids = await bridge.publish_many(run_id, events)
    cursor, following = (EventId(*map(int, each.split("-"))) for each in ids[-BEHIND - 1 :][:2])
    return Place(RunRef(thread_id, run_id), cursor, following)


async def _resume(bridge: JetStreamBridge, place: Place) -> None:
    async with bridge.subscribe(place.run.run_id, last_event_id=str(place.cursor)) as items:
        item = await anext(items)
        assert isinstance(item, StreamEvent)
        assert item.event_id == place.following


async def _get(jetstream: JetStreamContext, place: Place) -> None:
    message = await jetstream.get_msg(
        _NAMES.events_stream,
        seq=place.cursor.stream_seq + 1,
        subject=_NAMES.event(place.run),
        next=True,
        direct=True,
    )
    assert message.seq == place.following.stream_seq
