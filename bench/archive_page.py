"""A page of 50 records out of the middle of a run: a long run beside a short one.

The store reads log and files as one, and is asked for places all over the run. The files are made
directly, because how they come into being is measured elsewhere; the log has none of the runs, as
when all has left it.
"""

import random
import tempfile
import tracemalloc
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Final

from bench.report import Figure
from bench.rounds import TimedAction, in_turns, percentile, timed
from bench.setting import EVENT, PAYLOAD, open_bridge, running_server
from bridge import EventId, RunRef, StreamEvent, new_id, timestamp
from bridge.events import Terminal
from store import ArchiveLayout, JetStreamRunEventStore, encode_line
from store.run_forms import adopt_draft, write_draft

TITLE: Final = "a page of 50 records out of a run, 200-byte events"
SMALL: Final = 10_000
LARGE: Final = 1_000_000
SMOKE_LARGE: Final = 100_000
PAGE: Final = 50
ROUNDS: Final = 300
SMOKE_ROUNDS: Final = 20
_CHUNK: Final = 1000
_SEED: Final = 1


async def measure(*, smoke: bool) -> list[Figure]:
    large = SMOKE_LARGE if smoke else LARGE
    async with _reading((SMALL, large)) as actions:
        seconds = await in_turns(SMOKE_ROUNDS if smoke else ROUNDS, actions)
        peaks = {name: await _peak_kib(action) for name, action in actions.items()}
    millis = {name: [each * 1000 for each in values] for name, values in seconds.items()}
    return [
        figure
        for kind in _KINDS
        for figure in (
            _figure(millis, kind, SMALL, large),
            Figure(
                f"memory of it, {kind}",
                peaks[f"{kind} {large}"],
                "KiB",
                f"out of {SMALL:,}",
                peaks[f"{kind} {SMALL}"],
                "flat",
            ),
        )
    ]


_FORMS: Final = ("plain", "compressed")
_SIDES: Final = ("after a place", "before a place")
_KINDS: Final = tuple(f"{side}, {form}" for form in _FORMS for side in _SIDES)


def _figure(millis: Mapping[str, list[float]], kind: str, small: int, large: int) -> Figure:
    values = millis[f"{kind} {large}"]
    return Figure(
        f"out of {large:,}, {kind} (p99 {percentile(values, 0.99):.3g} ms)",
        median(values),
        "ms",
        f"out of {small:,}",
        median(millis[f"{kind} {small}"]),
        "<= 5 ms, ratio <= 1.5",
    )


@asynccontextmanager
async def _reading(sizes: tuple[int, ...]) -> AsyncGenerator[dict[str, TimedAction]]:
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        layout = ArchiveLayout(Path(directory))
        async with running_server() as server, open_bridge(server) as bridge:
            store = JetStreamRunEventStore(bridge, layout.root)
            actions: dict[str, TimedAction] = {}
            for size, form in product(sizes, _FORMS):
                run = RunRef(new_id(), new_id())
                _fill(layout, run, size)
                if form == "compressed":
                    adopt_draft(layout, run, write_draft(layout, run, lambda: True) or 0)
                places = random.Random(_SEED)  # noqa: S311 - the same places in every run
                for side in _SIDES:
                    read = partial(_read, store, run, size, side, places)
                    actions[f"{side}, {form} {size}"] = timed(read)
            yield actions


def _fill(layout: ArchiveLayout, run: RunRef, size: int) -> None:
    path = layout.run(run)
    path.parent.mkdir(parents=True)
    created_at = timestamp()
    with path.open("wb") as file:
        for start in range(1, size + 1, _CHUNK):
            numbers = range(start, start + _CHUNK)
            file.write(b"".join(encode_line(_event(run, n, created_at)) for n in numbers))
        # Only runs that have ended are compressed.
        file.write(encode_line(_event(run, size + 1, created_at, Terminal.ENDED)))


def _event(run: RunRef, number: int, created_at: str, event: str = EVENT) -> StreamEvent:
    return StreamEvent(
        thread_id=run.thread_id,
        run_id=run.run_id,
        # Other runs publish in between.
        event_id=EventId(number * 3, number),
        event=event,
        payload=PAYLOAD,
        category="stream",
        created_at=created_at,
        total_bytes=0,
    )


async def _read(
    store: JetStreamRunEventStore, run: RunRef, size: int, side: str, places: random.Random
) -> None:
    place = places.randrange(PAGE + 1, size - PAGE) * 3
    bound = {"after_seq": place} if side == _SIDES[0] else {"before_seq": place}
    records = await store.list_events(run.thread_id, run.run_id, limit=PAGE, **bound)
    assert len(records) == PAGE


async def _peak_kib(action: TimedAction) -> float:
    tracemalloc.start()
    try:
        await action()
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()
