"""What processes agree on beside the log: state records, jobs, nudges, roll calls and leases.

The contracts that run control is written against. A server keeps all of it for any number of
processes; the memory twin keeps it for one.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

#: Returns those of some run ids that a process has; it must not block.
Present: TypeAlias = Callable[[Sequence[str]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class StateRecord:
    """One record as it was read.

    Attributes:
        key: Its id within its kind.
        value: What was written.
        revision: What :meth:`StateRecords.update` must name to replace it.
    """

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class StatePosition:
    """How far the records have come.

    Attributes:
        stream: Which stream it is; another one after the stream was made anew.
        seq: The newest revision that it ever gave out.
    """

    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class StateChange:
    """One record as it is after its newest change.

    Attributes:
        kind: The kind of record.
        key: Its id within its kind.
        value: What it says; ``None`` once it is deleted.
        revision: The place of the change among all changes.
    """

    kind: str
    key: str
    value: bytes | None
    revision: int


class StateFeed(Protocol):
    """Every change of every state record, in order, for whoever keeps a projection of them.

    The reader keeps its position. Of a record that changed more than once only the newest change
    is there, so a reader that starts at 0 gets each record once.
    """

    async def newest(self) -> StatePosition:
        """Return how far the records have come, as the leader knows it.

        Whoever has read so far has every write that returned before this call.

        Raises:
            UnavailableError: The server fell silent.
            ApiError: The stream is gone.
        """

    async def read(self, after: int) -> Sequence[StateChange]:
        """Return the next changes behind a revision, oldest first; none when there is nothing new.

        Raises:
            UnavailableError: The server fell silent.
        """


class StateRecords(Protocol):
    """Small records that processes agree on, changed by compare-and-set.

    A deleted record leaves a tombstone, so that a late write cannot bring it back.
    """

    async def create(self, kind: str, key: str, value: bytes) -> int:
        """Write a record that must not exist, nor have existed.

        Returns:
            Its revision.

        Raises:
            InvalidIdError: ``key`` is not one subject token.
            StateConflictError: It exists, or was deleted; nothing was stored.
            EventTooLargeError: Above the limit for one record; nothing was stored.
            UnavailableError: The server fell silent; ``stored`` says what is known.
        """

    async def update(self, kind: str, key: str, value: bytes, *, revision: int) -> int:
        """Replace a record that must still be as it was read.

        Args:
            kind: The kind of record.
            key: Its id.
            value: What is written; not empty.
            revision: The revision that was read.

        Returns:
            The new revision.

        Raises:
            StateConflictError: It changed meanwhile; read it again and decide again.
            EventTooLargeError: Above the limit for one record; nothing was stored.
            UnavailableError: The server fell silent; ``stored`` says what is known.
        """

    async def delete(self, kind: str, key: str, *, revision: int) -> None:
        """Remove a record for good; a tombstone keeps late writes out.

        Raises:
            StateConflictError: It changed meanwhile; read it again and decide again.
            UnavailableError: The server fell silent; ``stored`` says what is known.
        """

    async def find(self, kind: str, key: str) -> StateRecord | None:
        """Return a record as the leader knows it; ``None`` when it is absent or deleted.

        Raises:
            InvalidIdError: ``key`` is not one subject token.
            UnavailableError: The server fell silent.
        """

    async def is_deleted(self, kind: str, key: str) -> bool:
        """Return whether a record was deleted; its tombstone stays."""

    async def find_many(self, kind: str, keys: Sequence[str]) -> list[StateRecord]:
        """Return many records at once, in the order of ``keys``, without the absent ones.

        On a cluster this may be a moment behind; what is decided on must be read by :meth:`find`.
        """

    async def changed(self, kind: str, *, after: int) -> tuple[list[StateRecord], int]:
        """Read a page of what changed, oldest change first; of each record the newest change only.

        On a cluster this may be a moment behind.

        Args:
            kind: The kind of record.
            after: The revision that counts as known; 0 reads from the start.

        Returns:
            The records, without deleted ones, and the revision to go on after; the same as
            ``after`` when there is nothing new.

        Raises:
            UnavailableError: The server fell silent.
        """

    async def keys(self, kind: str) -> list[str]:
        """Return the keys of all records of a kind, deleted ones too; linear in their count."""


class Job(Protocol):
    """One run to execute, in the hands of one worker until its lease lapses."""

    @property
    def executor(self) -> str:
        """What executes it."""

    @property
    def run_id(self) -> str:
        """The run."""

    @property
    def payload(self) -> bytes:
        """What the producer put beside it."""

    @property
    def deliveries(self) -> int:
        """How often it was handed out; a hint, the log knows the attempt."""

    @property
    def lease(self) -> str:
        """What this delivery is called by those who renew its lease."""

    async def in_progress(self) -> None:
        """Renew the lease."""

    async def ack(self) -> None:
        """Take the job off the queue for good."""

    async def nak(self, delay_s: float = 0) -> None:
        """Give the job back, to be handed out again after ``delay_s`` seconds."""


class JobConsumer(Protocol):
    """Fetches the jobs for one executor; processes that have it share them."""

    async def fetch(self, max_jobs: int, *, wait_s: float) -> Sequence[Job]:
        """Return waiting jobs, at least one, or none after about ``wait_s`` seconds.

        Outages of the server count as waiting. Jobs of a newer version are given back for a
        minute, for a process that reads them.
        """

    async def decline_until(self, ready: asyncio.Event) -> None:
        """Give back at once the jobs that still come, until ``ready`` is set."""

    async def close(self) -> None:
        """Stop asking for jobs."""


class JobQueue(Protocol):
    """Runs that wait for a worker: one job a run, handed to one worker at a time."""

    async def put(self, executor: str, run_id: str, payload: bytes = b"{}") -> None:
        """Queue a run for whoever has ``executor``.

        Raises:
            InvalidIdError: One of the ids is not one subject token.
            AlreadyQueuedError: The run's job waits or is in progress; nothing was added.
            StreamCapacityExceededError: The server's disk or memory is full; nothing was added.
            UnavailableError: The server fell silent; call again: a run has one job at most.
        """

    async def consumer(self, executor: str, *, lease_s: float) -> JobConsumer:
        """Open the durable consumer for one executor.

        Args:
            executor: A deployed executor's name.
            lease_s: Seconds after which a job that was not renewed is handed to another worker.

        Raises:
            ConsumerDriftError: The consumer exists with another lease.
            UnavailableError: The server fell silent.
        """


class ControlChannel(Protocol):
    """Nudges: "look at this run's state now".

    At most once. The truth about a run is its state and its log.
    """

    async def nudge(self, run_id: str) -> None:
        """Ask whoever executes the run to look at its state; lost while disconnected."""

    def listen(self, callback: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Call ``callback`` with a run_id at each nudge; it must not block."""


class Holders(Protocol):
    """A roll call of those who execute runs; their leases answer. Silence is never proof."""

    async def ask(self, run_ids: Sequence[str]) -> set[str]:
        """Return those run ids that some process claimed.

        Raises:
            UnavailableError: The server is away.
        """

    async def is_claimed(self, run_id: str, *, within_s: float) -> bool:
        """Ask for one run again and again until some process claims it; else it is a no.

        Args:
            run_id: The run.
            within_s: Seconds that an answer is waited for.
        """


class Leases(Protocol):
    """The jobs that this process holds; all calls belong on one event loop."""

    def hold(self, job: Job) -> None:
        """Renew the lease of ``job`` from now on; a newer delivery takes the older one's place."""

    def vouch(self, run_id: str) -> None:
        """Answer from now on that the run is executed here."""

    def release(self, run_id: str) -> None:
        """Let the job go, and vouch for the run no longer."""

    def kept(self) -> AbstractAsyncContextManager[None]:
        """Renew, and answer the roll call, while the body runs."""


class RunCheckpoints(Protocol):
    """What runs resume from, as far as the end of runs and threads concerns it."""

    async def roll_back(self, thread_id: str, run_id: str) -> int:
        """Make a thread's checkpoints what they were before a run, which cannot store any more.

        Returns:
            How many messages went; 0 when the run stored nothing, or another one has since.

        Raises:
            UnavailableError: The server fell silent; call again.
        """

    async def erase(self, thread_id: str) -> None:
        """Remove everything of a thread; those who are writing it are refused from now on.

        Raises:
            UnavailableError: The server fell silent; call again.
        """


class NoCheckpoints(RunCheckpoints):
    """A bridge that keeps none."""

    async def roll_back(self, thread_id: str, run_id: str) -> int:  # noqa: ARG002 - of the protocol
        """Find nothing."""
        return 0

    async def erase(self, thread_id: str) -> None:
        """Find nothing."""
