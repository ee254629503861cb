"""Publishers and readers that run while servers die, and remember what they were told."""

import asyncio

from bridge import END, StreamEvent, StreamGap, new_event

#: Far above an outage here, far below the limit of the test.
PATIENCE_S = 60.0


class Publisher:
    """Publishes to one run, in singles and in bursts, and remembers what was acknowledged."""

    def __init__(self, bridge, run):
        self._bridge = bridge
        self._run = run
        self.acknowledged = []
        self.is_over = False

    async def publish(self, random_, pause_s=0):
        run_id = self._run.run_id
        self.acknowledged.append(await self._bridge.create(run_id, thread_id=self._run.thread_id))
        while not self.is_over:
            burst = random_.choice((1, 3, 60))
            if random_.random() < 0.3:
                events = [new_event("note", {"n": n}) for n in range(burst)]
                self.acknowledged += await self._bridge.publish_many(run_id, events)
            else:
                self.acknowledged += await asyncio.gather(
                    *(self._bridge.publish(run_id, "note", {"n": n}) for n in range(burst))
                )
            await asyncio.sleep(pause_s)
        self.acknowledged.append(await self._bridge.publish_end(run_id))


async def follow(bridge, run, stay):
    """Read a run to its end; leave after ``stay()`` events and come back with the last id."""
    seen, last = [], None
    while True:
        left = stay()
        async with bridge.subscribe(run.run_id, last_event_id=last) as items:
            async for item in items:
                assert not isinstance(item, StreamGap), item
                if item is END:
                    return seen
                if isinstance(item, StreamEvent):
                    seen.append(item.id)
                    last = item.id
                    left -= 1
                    if left <= 0:
                        break


async def progress(publishers, count, eventually):
    """Wait until each publisher has so many more acknowledgements."""
    goals = [(publisher, len(publisher.acknowledged) + count) for publisher in publishers]
    await eventually(
        lambda: all(len(publisher.acknowledged) >= goal for publisher, goal in goals),
        within_s=PATIENCE_S,
        what="each publisher goes on",
    )
