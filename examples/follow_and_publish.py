"""Publish a run and follow it with the bridge alone, leaving once and resuming exactly.

Needs a NATS server with JetStream at JETRUN_NATS__URL (default nats://127.0.0.1:4222), for example
``nats-server -js -a 127.0.0.1``, and JETRUN_NATS__USER and JETRUN_NATS__PASSWORD where it asks.
"""

import asyncio
import os

from bridge import BridgeSettings, JetStreamBridge, NatsSettings, StreamEvent, StreamGap, new_id


async def publish(bridge: JetStreamBridge, run_id: str) -> None:
    """Emit five events and end the run; each call returns once its event is durable."""
    for step in range(1, 6):
        await bridge.publish(run_id, "progress", {"step": step})
    await bridge.publish_end(run_id)


async def follow(
    bridge: JetStreamBridge, run_id: str, after: str | None = None, until: int | None = None
) -> str | None:
    """Print the events behind the id ``after``; leave at event number ``until``."""
    async with bridge.subscribe(run_id, last_event_id=after) as items:
        async for item in items:
            if isinstance(item, StreamGap):
                print(f"{item.missing} events are gone: {item.reason}")
            elif isinstance(item, StreamEvent):
                print(item.id, item.event, item.data)
                if item.run_seq == until:
                    return item.id
    return None  # the run has ended


async def main() -> None:
    """Follow a run while it is published, leave after three events, and come back."""
    async with JetStreamBridge(settings()) as bridge:
        run_id = new_id()
        await bridge.create(run_id, thread_id="examples")
        publishing = asyncio.create_task(publish(bridge, run_id))
        last_id = await follow(bridge, run_id, until=3)
        print("left after", last_id)
        await follow(bridge, run_id, after=last_id)
        await publishing
        print("status", (await bridge.status(run_id)).status.value)


def settings() -> BridgeSettings:
    """Read where the server is from the environment, as the processes of jetrun do."""
    given = {
        "url": os.environ.get("JETRUN_NATS__URL"),
        "user": os.environ.get("JETRUN_NATS__USER"),
        "password": os.environ.get("JETRUN_NATS__PASSWORD"),
    }
    return BridgeSettings(nats=NatsSettings(**{key: text for key, text in given.items() if text}))


if __name__ == "__main__":
    asyncio.run(main())
