"""Hold on to jobs from a thread of its own, so that busy code does not lose them.

The thread has a connection of its own. It renews the leases of the jobs that are held, and answers
the roll call for the runs that are executed here. It does both only while the event loop that holds
the jobs shows signs of life: a process that hangs for good lets its jobs go.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import uvloop

from bridge.beside import beside
from bridge.connection import Connection
from bridge.coordination import Job
from bridge.errors import BridgeError
from bridge.metrics.leases import LeaseFigures
from bridge.pull_consumer import IN_PROGRESS
from bridge.replies import SilenceError
from bridge.roll_call import RollCall
from bridge.settings import BridgeSettings
from bridge.subjects import Subjects

_LOG = logging.getLogger("jetrun.leases")

_BEAT_S: Final = 0.5
_RETRY_S: Final = 0.5
_JOIN_S: Final = 5.0


class ThreadLeases:
    """The jobs that this process holds, kept by a thread; see :class:`bridge.coordination.Leases`.

    Args:
        settings: Where the server is.
        every_s: Seconds between two renewals; a third of a lease.
        max_blocked_s: Seconds without a sign of life of the event loop, after which nothing is
            held any more.
        figures: What becomes of them is counted here.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        *,
        every_s: float,
        max_blocked_s: float,
        figures: LeaseFigures,
    ) -> None:
        self._settings = settings
        self._subjects = Subjects(settings.log.prefix)
        self._every_s = every_s
        self._max_blocked_s = max_blocked_s
        self._figures = figures
        # Written here and read by the thread: each single step on them is atomic.
        self._held: dict[str, Job] = {}
        self._executed: set[str] = set()
        self._beat_at = time.monotonic()
        self._stop = threading.Event()

    def hold(self, job: Job) -> None:
        """Renew the lease of ``job`` from now on; a newer delivery takes the older one's place."""
        self._held[job.run_id] = job
        self._figures.held = len(self._held)

    def vouch(self, run_id: str) -> None:
        """Answer from now on that the run is executed here."""
        self._executed.add(run_id)

    def release(self, run_id: str) -> None:
        """Let the job go, and vouch for the run no longer."""
        self._held.pop(run_id, None)
        self._figures.held = len(self._held)
        self._executed.discard(run_id)

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Run the thread while the body runs."""
        thread = threading.Thread(target=self._run, name="leases", daemon=True)
        thread.start()
        try:
            async with beside(self._beat(), "lease beats"):
                yield
        finally:
            self._stop.set()
            await asyncio.to_thread(thread.join, _JOIN_S)

    async def _beat(self) -> None:
        while True:
            self._beat_at = time.monotonic()
            await asyncio.sleep(_BEAT_S)

    @property
    def _is_alive(self) -> bool:
        return time.monotonic() - self._beat_at <= self._max_blocked_s

    def _run(self) -> None:
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        while not self._stop.is_set():
            connection = Connection(self._settings, name="jetrun-leases")
            try:
                await connection.open()
                await self._attend(connection)
            except BridgeError as error:
                # Without a server there is nothing to renew and nobody to answer.
                self._figures.outages += 1
                _LOG.warning("leases.not_kept", extra={"error": str(error)})
                await asyncio.sleep(_RETRY_S)
            finally:
                await connection.close()

    async def _attend(self, connection: Connection) -> None:
        renew_at = 0.0
        async with RollCall(connection, self._subjects.holders).answer(self._find_executed):
            while not self._stop.is_set():
                if self._is_alive and time.monotonic() >= renew_at:
                    renew_at = time.monotonic() + self._every_s
                    for job in list(self._held.values()):
                        self._figures.renewals += _send(connection, job.lease, IN_PROGRESS)
                await asyncio.sleep(min(_BEAT_S, self._every_s) / 2)

    def _find_executed(self, run_ids: Sequence[str]) -> Sequence[str]:
        if not self._is_alive:
            return ()
        return [run_id for run_id in run_ids if run_id in self._executed]


def _send(connection: Connection, subject: str, payload: bytes) -> bool:
    try:
        connection.publish(subject, payload)
    except SilenceError:
        return False  # said again at the next renewal, or asked again
    return True
