"""Handle run events under a name: each one by one process, again after a crash, given up at last.

Usage: ``python durable_consumer.py [NAME]`` with the server at JETRUN_NATS__URL (default
nats://127.0.0.1:4222). Makes a run with three orders, handles the events of its category, and
shows what could not be handled. Started again under the same name it goes on where it stopped;
started twice at a time, the two share the events.
"""

import asyncio
import sys

from follow_and_publish import settings

from bridge import Delivery, JetStreamBridge, new_id

IDLE_S = 1.0


async def make_a_run(bridge: JetStreamBridge) -> None:
    """Publish three orders, of which one has no customer."""
    run_id = new_id()
    await bridge.create(run_id, thread_id="examples")
    for customer in ("ada", None, "grace"):
        await bridge.publish(run_id, "order", {"customer": customer}, category="order")
    await bridge.publish_end(run_id)


async def handle(delivery: Delivery) -> None:
    """Acknowledge what is done; give up what can never be done."""
    customer = delivery.event.data["customer"]
    if customer is None:
        await delivery.term("an order without a customer")
        return
    print("billed", customer, "at attempt", delivery.attempt)
    await delivery.ack()  # an exception before this line brings the event back later


async def main(name: str) -> None:
    """Handle all orders, however many processes do the same."""
    async with JetStreamBridge(settings()) as bridge:
        await make_a_run(bridge)
        async with bridge.consume(name, thread_id="examples", categories=["order"]) as deliveries:
            # A service would say: async for delivery in deliveries: await handle(delivery)
            while found := await deliveries.fetch(10, wait_s=IDLE_S):
                for delivery in found:
                    await handle(delivery)
        for letter in await bridge.list_dead_letters(name):
            print("given up", letter.event.id, letter.reason)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "billing"))
