"""Work that goes on when the connection that asked for it is gone.

A client that leaves cancels the handler of its request; what the handler has begun to change is
still carried to its end.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class UnattendedWork:
    """Tasks of this process that no request owns."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, _Result], name: str) -> asyncio.Task[_Result]:
        """Run ``work`` to its end; an error that nobody awaits is logged.

        Args:
            work: What to do; it is bounded by itself.
            name: What the log calls it.
        """
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self, within_s: float) -> None:
        """Wait for what is under way, and cancel what has not ended after ``within_s`` seconds."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=within_s)
        for task in late:
            task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            facts = {"work": task.get_name(), "error": str(task.exception())}
            _LOG.warning("unattended.failed", extra=facts)
