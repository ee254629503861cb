"""Use a gateway through the LangGraph SDK, unmodified: ``pip install langgraph-sdk``.

Usage: ``python sdk_client.py [URL]``; the default is http://127.0.0.1:2024, where ``jetrun serve``
listens.
"""

import asyncio
import sys

from langgraph_sdk import get_client


async def main(url: str) -> None:
    """Stream a run, read its second half again from an id, and wait for another run's result."""
    async with get_client(url=url) as client:
        thread_id = (await client.threads.create())["thread_id"]
        stream = client.runs.stream(
            thread_id, "echo", input={"events": 4}, stream_mode=["custom", "values"]
        )
        parts = [part async for part in stream]
        run_id = parts[0].data["run_id"]  # of the first event, `metadata`
        print("events", [(part.id, part.event) for part in parts])
        again = client.runs.join_stream(thread_id, run_id, last_event_id=parts[2].id)
        print("again", [(part.id, part.event) async for part in again])
        print("result", await client.runs.wait(thread_id, "echo", input={"hello": "world"}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:2024"))
