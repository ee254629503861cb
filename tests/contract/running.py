"""Ways to ask for runs, to play their worker, and to die half way."""

from bridge import Terminal
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


async def stored_count(bridge):
    """What a call that stores nothing leaves as it was."""
    return (await bridge.get_stats()).total_events, len(await bridge.states.keys("run"))
