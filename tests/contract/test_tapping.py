"""Events that are handed over at once: each to the tap or into a batch, in one order."""

import asyncio
import random

from reading import PATIENCE_S

from bridge import END, StreamEvent


class Client:
    """Takes what it is in the mood for, and the rest in batches."""

    def __init__(self, takes):
        self._takes = takes
        self.seen = []
        self.pushed = 0

    def push(self, events):
        assert not any(event.is_terminal for event in events)
        if not self._takes():
            return False
        self.seen += events
        self.pushed += len(events)
        return True

    async def read(self, bridge, run, after=None):
        async with (
            asyncio.timeout(PATIENCE_S),
            bridge.follow(run, last_event_id=after, heartbeat_interval=0.01) as following,
        ):
            following.tap(self.push)
            async for batch in following.batches():
                self.seen += [item for item in batch if isinstance(item, StreamEvent)]
                if batch[-1] is END:
                    return


async def test_an_event_goes_to_the_tap_or_into_a_batch_never_to_both(bridge, run):
    moods = random.Random(7)
    clients = [
        Client(lambda: True),
        Client(lambda: False),
        *(Client(lambda: moods.random() < 0.5) for _ in range(5)),
    ]
    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(client.read(bridge, run))
        for number in range(100):
            burst = moods.choice((1, 1, 1, 30))
            await asyncio.gather(*(bridge.publish(run, "note", number) for _ in range(burst)))
        await bridge.publish_end(run)
    count = (await bridge.status(run)).event_count
    for client in clients:
        assert [event.run_seq for event in client.seen] == list(range(1, count + 1))
    assert clients[1].pushed == 0


async def test_the_end_comes_in_a_batch_even_where_everything_else_was_pushed(bridge, run):
    client = Client(lambda: True)
    reading = asyncio.create_task(client.read(bridge, run))
    for number in range(20):
        await bridge.publish(run, "note", number)
    await bridge.publish_end(run)
    await reading
    assert client.seen[-1].event == "end"


async def test_a_reader_that_resumes_is_pushed_nothing_twice(bridge, run):
    ids = [await bridge.publish(run, "note", number) for number in range(10)]
    client = Client(lambda: True)
    reading = asyncio.create_task(client.read(bridge, run, after=ids[4]))
    for number in range(10, 20):
        await bridge.publish(run, "note", number)
    await bridge.publish_end(run)
    await reading
    notes = [event.data for event in client.seen if event.event == "note"]
    assert notes == list(range(5, 20))
