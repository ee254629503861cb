"""Read run events with nats-py alone: a named durable pull consumer, nothing of jetrun imported.

Usage: ``python plain_nats_consumer.py [RUN_ID]`` with the server at JETRUN_NATS__URL (default
nats://127.0.0.1:4222). Prints the events of one run, or of all runs, and ends after two seconds
without a new one. Started again it goes on where it stopped, because the server keeps the
position of the name ``example`` (``example_RUN_ID`` for one run).
"""

import asyncio
import json
import os
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig

STREAM = "JETRUN_EVENTS"
IDLE_S = 2.0


async def consume(run_id: str | None) -> None:
    """Print each event once, in order per run, and acknowledge it afterwards."""
    connection = await nats.connect(
        os.environ.get("JETRUN_NATS__URL", "nats://127.0.0.1:4222"),
        user=os.environ.get("JETRUN_NATS__USER"),
        password=os.environ.get("JETRUN_NATS__PASSWORD"),
    )
    js = connection.jetstream()
    name = f"example_{run_id}" if run_id else "example"
    config = ConsumerConfig(
        durable_name=name,
        filter_subject=f"jetrun.events.*.*.{run_id or '*'}",
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=30,
    )
    await js.add_consumer(STREAM, config)  # without effect when it is there already
    subscription = await js.pull_subscribe_bind(consumer=name, stream=STREAM)
    seen: dict[str, int] = {}
    while True:
        try:
            messages = await subscription.fetch(100, timeout=IDLE_S)
        except TimeoutError:  # nats-py's own is a subclass
            break
        for message in messages:
            show(message, seen)
            await message.ack()
    await connection.close()


def show(message: nats.aio.msg.Msg, seen: dict[str, int]) -> None:
    """Print one event, unless it was delivered before: deliveries are at least once."""
    *_, thread_id, run_id = message.subject.split(".")
    run_seq = int(message.headers["Run-Seq"])
    if run_seq <= seen.get(run_id, 0):
        return
    seen[run_id] = run_seq
    event_id = f"{message.metadata.sequence.stream}-{run_seq}"
    print(thread_id, run_id, event_id, message.headers["Run-Event"], json.loads(message.data))


if __name__ == "__main__":
    asyncio.run(consume(sys.argv[1] if len(sys.argv) > 1 else None))
