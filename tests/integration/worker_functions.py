"""Functions that the tests of workers execute, and what is asked of a run's events."""

from runs import AssistantSettings, RunSpec

HANDLERS = """
import asyncio
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
FOUR = threading.Barrier(4)


async def returns(ctx, given):
    return {"run": ctx.run_id, "thread": ctx.thread_id, "given": given, "attempt": ctx.attempt,
            "config": ctx.config, "metadata": ctx.metadata}


async def yields_garbage(ctx, given):
    yield 17


async def result_is_no_json(ctx, given):
    return {"a": float("nan")}


async def too_large(ctx, given):
    await ctx.emit("big", "x" * (9 << 20))
    await ctx.flush()


async def marks(ctx, given):
    (HERE / "marked").touch()
    yield "marked", None


async def tidy(ctx, given):
    try:
        yield "started", None
        await asyncio.sleep(60)
    finally:
        (HERE / "tidied").write_text(str(ctx.cancelled))


async def waits_for_go(ctx, given):
    yield "started", None
    while not (HERE / "go").exists():
        await asyncio.sleep(0.02)


async def stubborn(ctx, given):
    yield "started", None
    for n in range(1200):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            pass
        yield "tick", n


def blocks(ctx, given):
    ctx.emit("started", {"attempt": ctx.attempt})
    time.sleep(given["block_s"])
    return given


def meets(ctx, given):
    FOUR.wait(20)
    return given


def generates(ctx, given):
    for n in range(given):
        yield "n", n
    ctx.result(ctx.config)


def stops_when_told(ctx, given):
    ctx.emit("started", None)
    try:
        while True:
            ctx.emit("tick", ctx.cancelled)
            time.sleep(0.02)
    finally:
        (HERE / "tidied").write_text(str(ctx.cancelled))


def exits(ctx, given):
    raise SystemExit(3)


async def hogs(ctx, given):
    yield "started", {"attempt": ctx.attempt}
    await asyncio.sleep(0.1)
    time.sleep(given["block_s"])
    ctx.result(ctx.attempt)


async def hogs_until_taken_over(ctx, given):
    taken_over = HERE / f"{ctx.run_id}.taken-over"
    yield "started", {"attempt": ctx.attempt}
    await asyncio.sleep(0.1)
    if ctx.attempt > 1:
        taken_over.touch()
    deadline = time.monotonic() + given["block_s"]
    while not taken_over.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    ctx.result(ctx.attempt)


async def counts(ctx, given):
    for n in range(given["count"]):
        yield "count", {"n": n, "attempt": ctx.attempt}
        await asyncio.sleep(given["pause_s"])
    ctx.result(ctx.attempt)
"""
NAMES = (
    "returns",
    "yields_garbage",
    "result_is_no_json",
    "too_large",
    "blocks",
    "exits",
    "generates",
    "hogs",
    "marks",
    "meets",
    "stops_when_told",
    "tidy",
    "stubborn",
    "waits_for_go",
    "counts",
    "missing",
)


def declared_in(directory):
    """Write the functions into a directory; return them as assistants."""
    handlers = directory / "handlers.py"
    handlers.write_text(HANDLERS)
    declared = {name: AssistantSettings(function=f"{handlers}:{name}") for name in NAMES}
    again = AssistantSettings(
        function=f"{handlers}:counts", on_worker_lost="restart", max_attempts=2
    )
    hogs = AssistantSettings(function=f"{handlers}:hogs_until_taken_over", on_worker_lost="restart")
    short = AssistantSettings(function=f"{handlers}:counts", timeout_s=0.3)
    return {**declared, "counts_again": again, "hogs_again": hogs, "counts_shortly": short}


def spec(thread, assistant, given=None, **options):
    return RunSpec(thread_id=thread, assistant_id=assistant, input=given, **options)


def names_of(events):
    return [event.event for event in events]


def assert_whole(events):
    assert [event.run_seq for event in events] == list(range(1, len(events) + 1))
    assert [event.is_terminal for event in events] == [False] * (len(events) - 1) + [True]


async def attempt_is(facade, run, attempt):
    return (await facade.get_run(run.thread_id, run.run_id)).attempt == attempt
