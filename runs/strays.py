"""Handlers that ignore their cancellation, and are left to themselves."""

import asyncio
from typing import Any

_strays: set[asyncio.Task[Any]] = set()


def keep_until_done(task: asyncio.Task[Any]) -> None:
    """Hold on to ``task``, and ask for its outcome.

    The loop holds tasks weakly, and an outcome that nobody asks for is logged as an error.
    """

    def forget(done: asyncio.Task[Any]) -> None:
        _strays.discard(done)
        if not done.cancelled():
            done.exception()

    _strays.add(task)
    task.add_done_callback(forget)
