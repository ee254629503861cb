"""The contract of a bridge that run control works over: the event log and what stands beside it.

Manager, worker and reconciler are written against this alone, so the same code runs over a server
and in the memory of one process.
"""

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager

from bridge.coordination import (
    ControlChannel,
    Holders,
    JobQueue,
    Leases,
    RunCheckpoints,
    StateFeed,
    StateRecords,
)
from bridge.events import StreamEvent
from bridge.retention.run_holders import RunHolders
from bridge.stream_bridge import StreamBridge
from bridge.subjects import RunRef
from bridge.timers import Timers


class RunBridge(StreamBridge):
    """An event log with the records, jobs and nudges of run control.

    Attributes:
        states: Records that processes agree on.
        secrets: Those that only gateways may read.
        state_feed: The changes of those records, in order.
        jobs: Runs that wait for a worker.
        timers: Payloads that come back at their time.
        controls: Nudges to those who execute runs.
        holders: Asks who executes runs.
        checkpoints: What runs resume from.
    """

    states: StateRecords
    secrets: StateRecords
    state_feed: StateFeed
    jobs: JobQueue
    timers: Timers
    controls: ControlChannel
    holders: Holders
    checkpoints: RunCheckpoints

    @abstractmethod
    def leases(self, *, every_s: float, max_blocked_s: float) -> Leases:
        """Make what holds on to the jobs of this process.

        Args:
            every_s: Seconds between two renewals; a third of a lease.
            max_blocked_s: Seconds without a sign of life of the event loop, after which nothing
                is held any more.
        """

    @abstractmethod
    def sweeping(self, holders: RunHolders | None = None) -> AbstractAsyncContextManager[None]:
        """End silent runs that nobody holds, for the length of a context.

        Any number of processes may do so. What leaves in time, too, is said by the bridge.

        Args:
            holders: Who holds runs; ``None`` when nobody does but their publishers.
        """

    async def claim(self, run: RunRef) -> None:
        """Note whose a run is, ahead of its :meth:`create`, which then costs a round trip less.

        What a crash leaves of it does no harm: a later ``create`` of the run goes on from there.

        Raises:
            BridgeError: What ``create`` would raise before it stores the birth.
        """

    def expect_reader(self, run: RunRef) -> None:
        """Make ready for somebody here who follows a run as soon as it is born; spares reads.

        Nobody must come: after some seconds it is forgotten.

        Args:
            run: The run, before its :meth:`create`.

        Raises:
            BridgeClosedError: The bridge is not open.
        """

    async def disclaim(self, run: RunRef) -> None:
        """Take back the claim of a run that is not to be born; its id is never used again.

        Raises:
            UnavailableError: The server fell silent; the claim may stay.
        """

    def remember(self, run: RunRef) -> None:
        """Take for known whose a run is, because its thread says so; spares a read.

        Nothing else is taken for known: whether it has a log, or was deleted, is still looked up.
        """

    @abstractmethod
    async def find_thread(self, run_id: str) -> str | None:
        """Return the thread that owns a run; ``None`` when nobody created it, or it was deleted.

        Raises:
            InvalidIdError: ``run_id`` is not one subject token.
            UnavailableError: The server fell silent.
        """

    @abstractmethod
    async def is_deleted(self, run_id: str) -> bool:
        """Whether a run was deleted, as the leader knows it.

        Raises:
            InvalidIdError: ``run_id`` is not one subject token.
            UnavailableError: The server fell silent.
        """

    async def has_lived(self, run_id: str) -> bool:
        """Whether somebody ever created the run, be it deleted since.

        Raises:
            InvalidIdError: ``run_id`` is not one subject token.
            UnavailableError: The server fell silent.
        """
        return await self.find_thread(run_id) is not None or await self.is_deleted(run_id)

    @abstractmethod
    async def find_event(self, run_id: str, event_id: str) -> StreamEvent | None:
        """Return one event of a run by its id; ``None`` when neither log nor archive holds it.

        Raises:
            StreamNotFoundError: Nobody created the run, or it was deleted.
            UnavailableError: The server fell silent.
        """

    @abstractmethod
    async def list_runs(self, thread_id: str) -> list[str]:
        """Return the ids of a thread's runs, in no particular order.

        Those that have left the log are among them, and perhaps some that were deleted.

        Raises:
            InvalidIdError: ``thread_id`` is not one subject token.
            UnavailableError: The server fell silent.
        """
