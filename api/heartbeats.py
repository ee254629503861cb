"""Signs of life on a long answer.

Heartbeats are regular, whatever else is written: clients learn the interval and take silence that
is much longer for a dead connection.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def heartbeats(
    request: web.Request,
    response: web.StreamResponse,
    heartbeat: bytes,
    *,
    every_s: float,
) -> AsyncGenerator[None]:
    """Write ``heartbeat`` regularly while the body runs.

    Args:
        request: The request that is answered.
        response: Its answer, with the headers sent; the body may write to it at any time.
        heartbeat: What is written; it must fit between any two writes of the body.
        every_s: Seconds between heartbeats; the first one comes that long after the start.
    """
    beats = asyncio.create_task(_beat(request, response, heartbeat, every_s))
    try:
        yield
    finally:
        beats.cancel()


async def _beat(
    request: web.Request,
    response: web.StreamResponse,
    heartbeat: bytes,
    every_s: float,
) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += every_s
        await asyncio.sleep(due - loop.time())
        transport = request.transport
        if transport is None:
            return
        if transport.get_write_buffer_size() == 0:
            # More bytes would not help a client that does not take those that wait.
            try:
                await response.write(heartbeat)
            except ConnectionError:
                return
