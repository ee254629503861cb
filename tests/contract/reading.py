"""How the tests read: whole runs, a few events, and the errors of entering."""

import asyncio

from bridge import CANCELLED, END, HEARTBEAT, StreamEvent

#: Far above what any step needs, below the limit of a test: a stuck reader fails with its name.
PATIENCE_S = 30.0


async def read_all(bridge, run_id, after=None):
    """Read to ``END`` or ``CANCELLED``; heartbeats are left out."""
    async with (
        asyncio.timeout(PATIENCE_S),
        bridge.subscribe(run_id, last_event_id=after) as stream,
    ):
        return [item async for item in stream if item is not HEARTBEAT]


async def take(stream, count):
    """Take the next ``count`` items; heartbeats are left out."""
    items = []
    async with asyncio.timeout(PATIENCE_S):
        while len(items) < count:
            item = await anext(stream)
            if item is not HEARTBEAT:
                items.append(item)
    return items


async def enter(bridge, run_id, after=None):
    """Open a run for reading and leave at once."""
    async with bridge.subscribe(run_id, last_event_id=after):
        pass


def events_of(items):
    """The events among what was read."""
    return [item for item in items if isinstance(item, StreamEvent)]


def notes_of(items):
    """The data of the ordinary events named ``note``."""
    return [event.data for event in events_of(items) if event.event == "note"]


def run_seqs(items):
    """The run's own numbers of the events among what was read."""
    return [event.run_seq for event in events_of(items)]


def is_over(item):
    """Whether nothing follows."""
    return item in (END, CANCELLED)


async def resume(bridge, run_id, cursor):
    """Read an ended run; return what became of the cursor, and the items before the end."""
    async with (
        asyncio.timeout(PATIENCE_S),
        bridge.follow(run_id, last_event_id=cursor) as following,
    ):
        items = [item async for batch in following.batches() for item in batch]
    assert items.pop() is END
    return following.resume, items
