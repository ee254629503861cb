"""Tells whether this gateway has more to do than it can bear, before its streams suffer.

Three things are looked at, each by itself: whether the event loop is late, and stays so; how many
requests to NATS wait for an answer; how much memory the process holds.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from api.limits.errors import OverloadedError
from api.limits.settings import LimitSettings

_LOG = logging.getLogger(__name__)

_SAMPLE_S: Final = 0.1
_STATM: Final = Path("/proc/self/statm")
#: Where a container's kernel tells how much it may use; absent or ``max`` elsewhere.
_CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
#: Of that, what this process may hold before it takes nothing new.
_CGROUP_SHARE: Final = 0.8


class Overload:
    """Samples the process while an application is served.

    Args:
        settings: How much is too much.
        count_unanswered: Returns how many requests to NATS wait for an answer.
    """

    def __init__(self, settings: LimitSettings, count_unanswered: Callable[[], int]) -> None:
        self._settings = settings
        self._count_unanswered = count_unanswered
        self._max_memory_bytes = settings.max_memory_bytes or _memory_of_container()
        self._late_since: float | None = None
        self._reason: str | None = None

    def check(self) -> None:
        """Refuse new work.

        Raises:
            OverloadedError: There is too much already.
        """
        unanswered, limit = self._count_unanswered(), self._settings.max_unanswered_requests
        if unanswered >= limit:
            # Not sampled: a burst of requests can come between two samples.
            raise OverloadedError(f"{unanswered} requests to NATS wait for an answer")
        if self._reason is not None:
            raise OverloadedError(self._reason)

    async def sampling(self, _: web.Application) -> AsyncIterator[None]:
        """Look at the process for as long as the application is served."""
        task = asyncio.create_task(self._sample(), name="overload")
        yield
        task.cancel()

    async def _sample(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _SAMPLE_S
            await asyncio.sleep(_SAMPLE_S)
            now = loop.time()
            reason = self._lateness(now - due, now) or self._memory()
            if (reason is None) is not (self._reason is None):
                event = "overload.ended" if reason is None else "overload.began"
                _LOG.warning(event, extra={"reason": reason or self._reason})
            self._reason = reason

    def _lateness(self, late_s: float, now: float) -> str | None:
        if late_s < self._settings.max_loop_lag_s:
            self._late_since = None
            return None
        if self._late_since is None:
            # One long step is no overload; it is one if the next samples are late as well.
            self._late_since = now
        if now - self._late_since < self._settings.loop_lag_for_s:
            return None
        return f"its event loop is {late_s:.1f} s late"

    def _memory(self) -> str | None:
        limit = self._max_memory_bytes
        held = None if limit is None else _resident_bytes()
        if limit is None or held is None or held < limit:
            return None
        return f"it holds {held >> 20} MiB of memory"


#: Of an application.
OVERLOAD: Final = web.AppKey("overload", Overload)


def _resident_bytes() -> int | None:
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None  # not on Linux


def _memory_of_container() -> int | None:
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return None
    return int(int(limit) * _CGROUP_SHARE) if limit.isdigit() else None
