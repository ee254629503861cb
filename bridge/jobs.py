"""Runs that wait for a worker: one job a run, handed to one worker at a time.

A worker holds a job by a lease that it renews. A job whose worker died is handed to another.
"""

import asyncio
from typing import Final

from bridge import wire
from bridge.connection import Connection
from bridge.errors import AlreadyQueuedError, ApiError, Stored, StreamCapacityExceededError
from bridge.ids import check_id
from bridge.publication import FULL, publish_once
from bridge.pull_consumer import (
    ACK,
    IN_PROGRESS,
    PullConsumer,
    PulledMessage,
    nak_verb,
    open_shared,
    without_newer,
)
from bridge.replies import SilenceError
from bridge.subjects import Subjects

#: The stream has no other limit that is refused with this code.
HAS_JOB: Final = 10077
MAX_JOBS_IN_PROGRESS: Final = 10_000


class PulledJob:
    """One run to execute; see :class:`bridge.coordination.Job`.

    Attributes:
        executor: What executes it.
        run_id: The run.
        payload: What the producer put beside it.
        deliveries: How often the job was handed out; a hint, the log knows the attempt.
        lease: Where the server hears that the job is still in progress.
    """

    def __init__(self, pulled: PulledMessage) -> None:
        self._pulled = pulled
        self.executor, self.run_id = pulled.message.subject.rsplit(".", 2)[1:]
        self.payload = pulled.message.data
        self.deliveries = pulled.deliveries
        self.lease = pulled.message.reply

    async def in_progress(self) -> None:
        """Renew the lease."""
        await self._pulled.acknowledge(IN_PROGRESS)

    async def ack(self) -> None:
        """Take the job off the queue for good."""
        await self._pulled.acknowledge(ACK)

    async def nak(self, delay_s: float = 0) -> None:
        """Give the job back, to be handed out again after ``delay_s`` seconds."""
        await self._pulled.acknowledge(nak_verb(delay_s))


class JetStreamJobConsumer:
    """Fetches the jobs for one executor from its durable consumer."""

    def __init__(self, consumer: PullConsumer) -> None:
        self._consumer = consumer

    async def fetch(self, max_jobs: int, *, wait_s: float) -> list[PulledJob]:
        """Return waiting jobs; see :meth:`JobConsumer.fetch`."""
        fetched = await self._consumer.fetch(max_jobs, wait_s=wait_s)
        return [PulledJob(pulled) for pulled in await without_newer(fetched)]

    async def decline_until(self, ready: asyncio.Event) -> None:
        """Give back at once the jobs that still come, until ``ready`` is set."""
        await self._consumer.decline_until(ready)

    async def close(self) -> None:
        """Stop asking for jobs."""
        await self._consumer.close()


class JetStreamJobQueue:
    """Jobs in a stream; see :class:`bridge.coordination.JobQueue`.

    Args:
        connection: An open connection.
        subjects: Spells the subjects.
    """

    def __init__(self, connection: Connection, subjects: Subjects) -> None:
        self._connection = connection
        self._subjects = subjects

    async def put(self, executor: str, run_id: str, payload: bytes = b"{}") -> None:
        """Queue a run; see :meth:`JobQueue.put`."""
        check_id("executor", executor)
        subject = self._subjects.job(executor, check_id("run_id", run_id))
        outage = self._connection.outage(f"queueing run {run_id}")
        stored = Stored.NO
        while True:
            try:
                await publish_once(self._connection, subject, payload, wire.encode_stored({}))
            except SilenceError as silence:
                stored = Stored.UNKNOWN if silence.sent else stored
                await outage.wait(stored)
            except ApiError as error:
                if error.err_code == HAS_JOB:
                    if stored is Stored.UNKNOWN:
                        return  # the first sending had arrived
                    raise AlreadyQueuedError(run_id) from error
                if error.err_code not in FULL:
                    raise
                if stored is Stored.NO:
                    raise StreamCapacityExceededError(error.description) from error
                await outage.wait(stored)
            else:
                return

    async def consumer(self, executor: str, *, lease_s: float) -> JetStreamJobConsumer:
        """Open the durable consumer for one executor; see :meth:`JobQueue.consumer`."""
        consumer = await open_shared(
            self._connection,
            self._subjects.jobs_stream,
            f"work_{check_id('executor', executor)}",
            self._subjects.jobs(executor),
            lease_s=lease_s,
            max_in_progress=MAX_JOBS_IN_PROGRESS,
        )
        return JetStreamJobConsumer(consumer)
