"""What stands in the log of a run, as whoever follows it reads it."""

import asyncio

from bridge import END, StreamEvent


async def log_of(bridge, run, *, within_s=30):
    """Return all events of a run, once it has ended."""
    events = []
    async with asyncio.timeout(within_s), bridge.follow(run.run_id) as following:
        async for batch in following.batches():
            events.extend(item for item in batch if isinstance(item, StreamEvent))
            if batch[-1] is END:
                break
    return events


async def first_event(bridge, run, name, *, within_s=20):
    """Return the first event of that name; the run must not end before."""
    async with asyncio.timeout(within_s), bridge.subscribe(run.run_id) as items:
        async for item in items:
            if isinstance(item, StreamEvent) and item.event == name:
                return item
    raise AssertionError(f"run {run.run_id} ended without an event {name}")
