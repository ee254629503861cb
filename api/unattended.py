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

    def begin(self, work: Coroutine[Any, Any, _Result], name: str) -> asyncio.Task[_Result]:
        """Run ``work`` to its end; the caller awaits the task shielded, or detaches it.

        Args:
            work: What to do; it is bounded by itself.
            name: What the log calls it.
        """
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def detach(self, task: asyncio.Task[Any]) -> None:
        """Let the log know if the task fails, because nobody awaits it any more."""
        task.add_done_callback(_log_failure)

    async def finish(self, work: Coroutine[Any, Any, _Result], name: str) -> _Result:
        """Await ``work``; when the caller is cancelled, the work goes on without it."""
        task = self.begin(work, name)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.detach(task)
            raise

    async def close(self, within_s: float) -> None:
        """Wait for what is under way, and cancel what has not ended after ``within_s`` seconds."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=within_s)
        for task in late:
            task.cancel()


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        facts = {"work": task.get_name()}
        _LOG.warning("unattended.failed", extra=facts, exc_info=task.exception())
