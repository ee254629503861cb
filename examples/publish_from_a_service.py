"""Publish to a run that somebody else executes: over HTTP from any language, or with the bridge.

Usage: ``python publish_from_a_service.py [URL]`` with a gateway at URL (default
http://127.0.0.1:2024) and its NATS server at JETRUN_NATS__URL.

There is no example with plain nats-py, on purpose. An event is accepted only with its number in
the run and with the sequence of its predecessor (``Run-Seq``, ``Run-Bytes``,
``Nats-Expected-Last-Subject-Sequence``), so that two publishers never write the same number and
nobody writes behind the end of a run. A publisher must read the run first, decide anew whenever
another one was quicker, and find out what became of a publish without an answer. Both ways below
do that; a plain ``publish`` would break the run for all its readers.
"""

import asyncio
import json
import sys
from typing import Any
from urllib.request import Request, urlopen

from follow_and_publish import settings

from bridge import JetStreamBridge


def post(url: str, body: Any) -> Any:
    """Send JSON and return the JSON of the answer."""
    request = Request(  # noqa: S310 - the caller's own gateway
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
        return json.load(answer)


def publish_over_http(url: str, thread_id: str, run_id: str) -> None:
    """Publish one event twice, as after an answer that was lost: it is stored once."""
    event = {"event": "scan", "data": {"page": 1}, "category": "trace", "event_id": "page-1"}
    path = f"{url}/threads/{thread_id}/runs/{run_id}/events"
    first, again = post(path, event)["id"], post(path, event)["id"]
    print("over HTTP", first, "repeated", again == first)


async def publish_with_the_bridge(run_id: str) -> None:
    """Do the same over NATS."""
    async with JetStreamBridge(settings()) as bridge:
        options = {"category": "trace", "event_id": "page-2"}
        first = await bridge.publish(run_id, "scan", {"page": 2}, **options)
        again = await bridge.publish(run_id, "scan", {"page": 2}, **options)
        print("with the bridge", first, "repeated", again == first)
        async with bridge.subscribe(run_id) as items:
            async for item in items:
                if getattr(item, "event", None) == "scan":
                    print("read", item.id, item.data)


def main(url: str) -> None:
    """Start a run that takes two seconds, and publish to it from outside."""
    thread_id = post(f"{url}/threads", {})["thread_id"]
    given = {"assistant_id": "echo", "input": {"events": 2, "delay_s": 1}}
    run_id = post(f"{url}/threads/{thread_id}/runs", given)["run_id"]
    publish_over_http(url, thread_id, run_id)
    asyncio.run(publish_with_the_bridge(run_id))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:2024")
