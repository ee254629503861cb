"""Jobs in memory: one a run, handed to one worker at a time, and again once its lease has lapsed.

Queueing and handing out are O(log n).
"""

import asyncio
import heapq
import time
from dataclasses import dataclass, field
from itertools import count

from bridge.errors import AlreadyQueuedError, ConsumerDriftError
from bridge.ids import check_id


@dataclass(slots=True, eq=False)
class QueuedJob:
    """One run that waits, or that somebody holds.

    Attributes:
        turn: Changes with every delivery, renewal and at its end; an older plan is void.
    """

    executor: str
    run_id: str
    payload: bytes
    deliveries: int = 0
    turn: int = 0


@dataclass(order=True, slots=True)
class _Plan:
    """A job may be handed out at ``due_s``, unless it was held, renewed or acknowledged since."""

    due_s: float
    number: int
    job: QueuedJob = field(compare=False)
    turn: int = field(compare=False)


class MemoryJob:
    """One delivery of a job; see :class:`bridge.coordination.Job`."""

    def __init__(self, queue: "_ExecutorQueue", job: QueuedJob) -> None:
        self._queue = queue
        self._job = job
        self.executor = job.executor
        self.run_id = job.run_id
        self.payload = job.payload
        self.deliveries = job.deliveries
        self.lease = f"{job.executor}.{job.run_id}.{job.deliveries}"

    async def in_progress(self) -> None:
        """Renew the lease, unless the job was handed to somebody else since."""
        if self._is_newest:
            self._queue.plan(self._job, self._queue.lease_s)

    async def ack(self) -> None:
        """Take the job off the queue for good."""
        self._queue.remove(self._job)

    async def nak(self, delay_s: float = 0) -> None:
        """Give the job back, unless it was handed to somebody else since."""
        if self._is_newest:
            self._queue.plan(self._job, delay_s)

    @property
    def _is_newest(self) -> bool:
        return self._queue.has(self._job) and self._job.deliveries == self.deliveries


class _ExecutorQueue:
    """The jobs for one executor."""

    def __init__(self) -> None:
        self.lease_s: float | None = None
        self._jobs: dict[str, QueuedJob] = {}
        self._plans: list[_Plan] = []
        self._numbers = count()
        self._changed = asyncio.Event()

    def put(self, job: QueuedJob) -> None:
        if job.run_id in self._jobs:
            raise AlreadyQueuedError(job.run_id)
        self._jobs[job.run_id] = job
        self.plan(job, 0)

    def plan(self, job: QueuedJob, delay_s: float | None) -> None:
        job.turn += 1
        due_s = time.monotonic() + (delay_s or 0)
        heapq.heappush(self._plans, _Plan(due_s, next(self._numbers), job, job.turn))
        self._changed.set()
        self._changed.clear()

    def has(self, job: QueuedJob) -> bool:
        return self._jobs.get(job.run_id) is job

    def remove(self, job: QueuedJob) -> None:
        if self.has(job):
            job.turn += 1
            del self._jobs[job.run_id]

    def take(self, max_jobs: int) -> list[MemoryJob]:
        taken: list[MemoryJob] = []
        while len(taken) < max_jobs and self._wait_s() <= 0:
            job = heapq.heappop(self._plans).job
            job.deliveries += 1
            self.plan(job, self.lease_s)
            taken.append(MemoryJob(self, job))
        return taken

    def _wait_s(self) -> float:
        """Seconds until the next job may be handed out."""
        while self._plans and self._plans[0].turn != self._plans[0].job.turn:
            heapq.heappop(self._plans)
        return self._plans[0].due_s - time.monotonic() if self._plans else float("inf")

    async def wait(self, timeout_s: float) -> None:
        """Return when a job may be there, after ``timeout_s`` seconds at the latest."""
        try:
            async with asyncio.timeout(max(0.0, min(timeout_s, self._wait_s()))):
                await self._changed.wait()
        except TimeoutError:
            return


class MemoryJobConsumer:
    """Fetches the jobs for one executor."""

    def __init__(self, queue: _ExecutorQueue) -> None:
        self._queue = queue

    async def fetch(self, max_jobs: int, *, wait_s: float) -> list[MemoryJob]:
        """Return waiting jobs; see :meth:`JobConsumer.fetch`."""
        deadline_s = time.monotonic() + wait_s
        # A turn for others even when there is always a job.
        await asyncio.sleep(0)
        while not (taken := self._queue.take(max_jobs)):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            await self._queue.wait(left_s)
        return taken

    async def decline_until(self, ready: asyncio.Event) -> None:
        """Wait: what was not fetched does not come."""
        await ready.wait()

    async def close(self) -> None:
        """Do nothing: what was not fetched was not handed out."""


class MemoryJobQueue:
    """The jobs of one process; see :class:`bridge.coordination.JobQueue`."""

    def __init__(self) -> None:
        self._queues: dict[str, _ExecutorQueue] = {}

    async def put(self, executor: str, run_id: str, payload: bytes = b"{}") -> None:
        """Queue a run; see :meth:`JobQueue.put`."""
        job = QueuedJob(check_id("executor", executor), check_id("run_id", run_id), payload)
        await asyncio.sleep(0)
        self._of(executor).put(job)

    async def consumer(self, executor: str, *, lease_s: float) -> MemoryJobConsumer:
        """Open the consumer for one executor; see :meth:`JobQueue.consumer`."""
        queue = self._of(check_id("executor", executor))
        if queue.lease_s not in (None, lease_s):
            name = f"work_{executor}"
            raise ConsumerDriftError(name, "ack_wait", lease_s, queue.lease_s)
        queue.lease_s = lease_s
        return MemoryJobConsumer(queue)

    def _of(self, executor: str) -> _ExecutorQueue:
        return self._queues.setdefault(executor, _ExecutorQueue())
