"""Answer what the graph ``approval`` asks: ``python examples/graphs/approve.py``."""

import asyncio

from langgraph_sdk import get_client
from serving import serving


async def main() -> None:
    """Let the graph draft a letter, look at its question, and answer with a better text."""
    async with serving() as url, get_client(url=url) as client:
        thread_id = (await client.threads.create())["thread_id"]
        asked = await client.runs.wait(thread_id, "approval", input={"to": "Ada"})
        print("asks  ", asked["__interrupt__"][0]["value"])
        print("thread", (await client.threads.get(thread_id))["status"])
        better = {"resume": "Dear Ada, all is very well."}
        print("result", await client.runs.wait(thread_id, "approval", command=better))
        print("thread", (await client.threads.get(thread_id))["status"])


if __name__ == "__main__":
    asyncio.run(main())
