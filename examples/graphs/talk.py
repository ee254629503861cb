"""Talk with the graph ``chat`` and watch its words come: ``python examples/graphs/talk.py``."""

import asyncio

from langgraph_sdk import get_client
from serving import serving


async def main() -> None:
    """Say two things in one thread, and read back what was said."""
    async with serving() as url, get_client(url=url) as client:
        thread_id = (await client.threads.create())["thread_id"]
        for text in ("hello there", "what is 17 and 25"):
            print("you   ", text)
            given = {"messages": [{"role": "user", "content": text}]}
            stream = client.runs.stream(
                thread_id, "chat", input=given, stream_mode="messages-tuple"
            )
            words = [
                part.data[0]["content"]
                async for part in stream
                if part.event == "messages" and part.data[0]["type"] == "AIMessageChunk"
            ]
            print("chat  ", "".join(words).strip())
        state = await client.threads.get_state(thread_id)
        print("kept  ", [message["type"] for message in state["values"]["messages"]])


if __name__ == "__main__":
    asyncio.run(main())
