"""Ways to ask for runs, to play their worker, and to die half way."""

import asyncio

from bridge import END, StreamEvent, Terminal
from bridge.subjects import RunRef
from runs import RunSpec


class ProcessDiedError(BaseException):
    """What a SIGKILL looks like from inside a test."""


async def die(*_, **__):
    raise ProcessDiedError


def spec(thread, assistant="echo", **options):
    return RunSpec(thread_id=thread, assistant_id=assistant, **options)


def ref(run):
    return RunRef(run.thread_id, run.run_id)


async def succeed(bridge, facade, run, values):
    """End a run as its worker would."""
    outputs = await bridge.publish(run.run_id, "values", values, category="outputs")
    data = {"status": "success", "outputs": outputs, "error": None}
    await bridge.publish_terminal(run.run_id, Terminal.ENDED, data)
    return await facade.settle(run.thread_id, run.run_id)


async def jobs_of(bridge, executor="echo", wait_s=0.2):
    """Take all jobs that wait for an executor, and keep them."""
    consumer = await bridge.jobs.consumer(executor, lease_s=30)
    found = []
    while jobs := await consumer.fetch(1, wait_s=wait_s):
        found.extend(job.run_id for job in jobs)
    await consumer.close()
    return found


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


async def stored_count(bridge):
    """What a call that stores nothing leaves as it was."""
    return (await bridge.get_stats()).total_events, len(await bridge.states.keys("run"))
