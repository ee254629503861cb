"""Wait in a thread for what an event loop does elsewhere."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from runs.errors import BlockingCallError

T = TypeVar("T")


def wait_for(loop: asyncio.AbstractEventLoop, call: Coroutine[Any, Any, T], name: str) -> T:
    """Do ``call`` on ``loop`` and wait for its end; from any thread but the loop's own.

    Args:
        loop: A running event loop.
        call: What is done there.
        name: How the caller's method is called, for the error.

    Raises:
        BlockingCallError: This thread runs the loop; nothing was done.
    """
    try:
        current = asyncio.get_running_loop()
    except RuntimeError:
        current = None
    if current is loop:
        call.close()
        raise BlockingCallError(name)
    return asyncio.run_coroutine_threadsafe(call, loop).result()
