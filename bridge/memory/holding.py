"""Who executes what, in one process: nudges, roll calls, and leases that are kept by a task."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from bridge.beside import beside
from bridge.coordination import Job
from bridge.ids import check_id

_BEAT_S: Final = 0.5


class MemoryControls:
    """Nudges; see :class:`bridge.coordination.ControlChannel`."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[str], None]] = []

    async def nudge(self, run_id: str) -> None:
        """Ask whoever executes the run to look at its state."""
        check_id("run_id", run_id)
        await asyncio.sleep(0)
        for callback in list(self._listeners):
            callback(run_id)

    @asynccontextmanager
    async def listen(self, callback: Callable[[str], None]) -> AsyncGenerator[None]:
        """Call ``callback`` with a run_id at each nudge; it must not block."""
        self._listeners.append(callback)
        try:
            yield
        finally:
            self._listeners.remove(callback)


class MemoryHolders:
    """A roll call; see :class:`bridge.coordination.Holders`.

    Attributes:
        leases: Those who answer.
    """

    def __init__(self) -> None:
        self.leases: set[MemoryLeases] = set()

    async def ask(self, run_ids: Sequence[str]) -> set[str]:
        """Return those run ids that somebody claimed."""
        await asyncio.sleep(0)
        return {each for leases in self.leases for each in run_ids if leases.has_vouched(each)}

    async def is_claimed(self, run_id: str, *, within_s: float) -> bool:  # noqa: ARG002 - nobody is away
        """Whether somebody claims a run."""
        return bool(await self.ask([run_id]))


class MemoryLeases:
    """The jobs that one worker holds; see :class:`bridge.coordination.Leases`.

    A thread would not help here: whoever blocks this event loop stops all workers of the process,
    so that nobody can take a run over meanwhile.

    Args:
        holders: Where who executes a run is asked.
        every_s: Seconds between two renewals.
        max_blocked_s: Seconds that the event loop may have been blocked without losing what is
            held.
    """

    def __init__(self, holders: MemoryHolders, *, every_s: float, max_blocked_s: float) -> None:
        self._holders = holders
        self._every_s = every_s
        self._max_blocked_s = max_blocked_s
        self._held: dict[str, Job] = {}
        self._executed: set[str] = set()
        self._beat_at = time.monotonic()

    def hold(self, job: Job) -> None:
        """Renew the lease of ``job`` from now on."""
        self._held[job.run_id] = job

    def vouch(self, run_id: str) -> None:
        """Answer from now on that the run is executed here."""
        self._executed.add(run_id)

    def release(self, run_id: str) -> None:
        """Let the job go, and vouch for the run no longer."""
        self._held.pop(run_id, None)
        self._executed.discard(run_id)

    def has_vouched(self, run_id: str) -> bool:
        """Whether the run is executed here, by somebody who shows signs of life."""
        return run_id in self._executed and self._is_alive

    @property
    def _is_alive(self) -> bool:
        return time.monotonic() - self._beat_at <= self._max_blocked_s

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Renew and answer while the body runs."""
        self._holders.leases.add(self)
        try:
            async with beside(self._renew(), "memory leases"):
                yield
        finally:
            self._holders.leases.discard(self)

    async def _renew(self) -> None:
        while True:
            if self._is_alive:
                for job in list(self._held.values()):
                    await job.in_progress()
            self._beat_at = time.monotonic()
            await asyncio.sleep(min(_BEAT_S, self._every_s))
