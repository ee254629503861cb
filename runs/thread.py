"""The aggregate of one thread: everything that admission has to know, in one state record.

One compare-and-set of this record is one step of run control. Nothing here decides; see
:mod:`runs.transitions`.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field

from runs.models import CancelAction, Frozen, RunStatus
from runs.time_to_live import TimeToLive


class ThreadStatus(StrEnum):
    """What a thread does, or how its last run ended."""

    IDLE = "idle"
    BUSY = "busy"
    INTERRUPTED = "interrupted"
    ERROR = "error"


class QueuedRun(Frozen):
    """A run that waits for its turn."""

    run_id: str
    executor: str


class DelayedRun(QueuedRun):
    """A run that waits for its time, and then for its turn."""

    due: AwareDatetime


class Question(Frozen):
    """What a run asks its user, and waits for."""

    input_id: str
    prompt: Any

    def shown(self) -> dict[str, Any]:
        """Return the question as clients of the platform look for it, in values and updates."""
        return {"__interrupt__": [{"value": self.prompt, "id": self.input_id}]}

    def pick(self, value: Any) -> Any:
        """Return the answer to this question out of what was sent: that itself, or a map by id."""
        if isinstance(value, dict) and value.keys() == {self.input_id}:
            return value[self.input_id]
        return value


class Answer(Frozen):
    """What the user said."""

    input_id: str
    value: Any


class ActiveRun(QueuedRun):
    """The one run whose turn it is.

    Attributes:
        since: When its turn began.
        started: Whether a worker has ever begun to execute it.
        attempt: The number of the newest execution; 0 before the first.
        worker: Which worker that is.
        released: That worker has given the run back, to be executed again.
        losses: How many attempts ended because their worker was lost.
        question: What it asks its user at this moment.
        answer: The answer to its last question.
    """

    since: AwareDatetime
    started: bool = False
    attempt: int = 0
    worker: str | None = None
    released: bool = False
    losses: int = 0
    question: Question | None = None
    answer: Answer | None = None

    @property
    def is_held(self) -> bool:
        """Whether a worker has begun to execute the run and not given it back."""
        return self.started and not self.released

    def has_begun(self, run_id: str) -> bool:
        """Whether this is ``run_id`` and a worker holds it."""
        return self.is_held and self.run_id == run_id


class OutputsRef(Frozen):
    """Where the final values of the last successful run are."""

    run_id: str
    event_id: str


class LastRun(Frozen):
    """The run that finished last, and how.

    Attributes:
        run_id: The run.
        status: How it ended.
        executor: Which executor it was for.
        is_interrupted: Whether it succeeded up to a point at which it waits for an answer.
    """

    run_id: str
    status: RunStatus
    executor: str | None = None
    is_interrupted: bool = False


class ThreadRecord(Frozen):
    """A thread: its owner, its runs under way, and what the finished ones left.

    Attributes:
        temporary: Made for one stateless run; it is deleted some time after that run has ended.
        deleting: Somebody deleted it; it is as if it did not exist, and its removal is under way.
        queue: Waiting runs, the next one first.
        delayed: Runs whose time is still to come; they hold up nobody.
        cancels: The wish to cancel a run of this thread; the first wish stays.
        ttl: How long it stays when nobody changes it; ``None``: as long as the deployment says.
        trimmed_at: When the history before its newest state was removed for its age.
    """

    thread_id: str
    user_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    temporary: bool = False
    deleting: bool = False
    created_at: AwareDatetime
    updated_at: AwareDatetime
    active: ActiveRun | None = None
    queue: tuple[QueuedRun, ...] = ()
    delayed: tuple[DelayedRun, ...] = ()
    cancels: dict[str, CancelAction] = Field(default_factory=dict)
    outputs: OutputsRef | None = None
    last: LastRun | None = None
    ttl: TimeToLive | None = None
    trimmed_at: AwareDatetime | None = None

    @property
    def expires_at(self) -> datetime | None:
        """When its own time is over, if nobody changes it before; ``None`` while it has none."""
        if self.ttl is None or (self.ttl.strategy == "keep_latest" and self.is_trimmed):
            return None
        return self.updated_at + timedelta(seconds=self.ttl.ttl_s)

    @property
    def is_trimmed(self) -> bool:
        """Whether its history was removed and nothing has changed since."""
        return self.trimmed_at is not None and self.trimmed_at >= self.updated_at

    @property
    def status(self) -> ThreadStatus:
        """What the thread does now; nothing stores it."""
        if self.question is not None:
            return ThreadStatus.INTERRUPTED
        if self.inflight_ids:
            return ThreadStatus.BUSY
        if self.last is None:
            return ThreadStatus.IDLE
        if self.last.is_interrupted or self.last.status is RunStatus.INTERRUPTED:
            return ThreadStatus.INTERRUPTED
        if self.last.status is RunStatus.SUCCESS:
            return ThreadStatus.IDLE
        return ThreadStatus.ERROR

    @property
    def executor(self) -> str | None:
        """Which executor knows the thread's state: that of its newest run, or of its creator."""
        if self.active is not None:
            return self.active.executor
        if self.last is not None and self.last.executor is not None:
            return self.last.executor
        named = self.metadata.get("graph_id")
        return named if isinstance(named, str) else None

    @property
    def question(self) -> Question | None:
        """What the active run waits for, unless it is being stopped."""
        if self.active is None or self.active.run_id in self.cancels:
            return None
        return self.active.question

    def find_active(self, run_id: str) -> ActiveRun | None:
        """Return the active run when it is ``run_id``."""
        return self.active if self.active is not None and self.active.run_id == run_id else None

    def find_queued(self, run_id: str) -> QueuedRun | None:
        """Return the waiting run ``run_id``."""
        return next((run for run in self.queue if run.run_id == run_id), None)

    def find_delayed(self, run_id: str) -> DelayedRun | None:
        """Return the run ``run_id`` while its time is still to come."""
        return next((run for run in self.delayed if run.run_id == run_id), None)

    @property
    def inflight_ids(self) -> tuple[str, ...]:
        """The active run, if any, those in line, the next one first, and the delayed ones."""
        active = () if self.active is None else (self.active.run_id,)
        return (*active, *(run.run_id for run in (*self.queue, *self.delayed)))

    @property
    def waiting_count(self) -> int:
        """How many runs wait for their turn or their time."""
        return len(self.queue) + len(self.delayed)

    @property
    def is_to_be_removed(self) -> bool:
        """Whether nothing holds the thread any more, and nothing of it shall remain."""
        return (self.temporary or self.deleting) and not self.inflight_ids

    def is_rolled_back(self, run_id: str) -> bool:
        """Whether the run is under way and nothing of it shall remain."""
        return self.cancels.get(run_id) is CancelAction.ROLLBACK

    def has_inflight(self, run_id: str) -> bool:
        """Whether the run is active or waits."""
        return run_id in self.inflight_ids
