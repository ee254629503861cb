"""What can be asked of the read model."""

from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import AwareDatetime, Field

from runs.models import Frozen, RunStatus
from runs.thread import ThreadStatus
from runs.time_to_live import Strategy

ThreadSortKey: TypeAlias = Literal["thread_id", "status", "created_at", "updated_at"]
RunSortKey: TypeAlias = Literal["run_id", "status", "created_at", "updated_at"]


class _Query(Frozen):
    """What a query of threads and one of runs have in common; all conditions must hold.

    Attributes:
        metadata: What the metadata must contain: names of objects, elements of lists, at any depth.
        ids: Only these; ``None`` means all.
        user_id: Only this user's; ``None`` means everybody's.
        created_after: Created then or later.
        created_before: Created earlier.
        updated_after: Last changed then or later.
        updated_before: Last changed earlier.
        is_descending: The order is reversed.
    """

    metadata: dict[str, Any] = Field(default_factory=dict)
    ids: tuple[str, ...] | None = None
    user_id: str | None = None
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    updated_after: AwareDatetime | None = None
    updated_before: AwareDatetime | None = None
    is_descending: bool = True


class ThreadQuery(_Query):
    """Which threads are wanted, and in which order; temporary ones are never found.

    Attributes:
        status: Only threads that are so; ``None`` means all.
        sort_by: Those that are equal in it come in the order of their ids; those of one status in
            the order of their last change.
    """

    status: ThreadStatus | None = None
    sort_by: ThreadSortKey = "updated_at"


class RunQuery(_Query):
    """Which runs are wanted, and in which order; refused ones are never found.

    Attributes:
        thread_id: Only this thread's.
        statuses: Only runs that are so; ``None`` means all.
        assistant: Only this assistant's, by name or by id.
        text: What an id, the assistant's name, the error or the metadata as JSON must contain;
            ASCII letters in any case. Looks at every run that the other conditions leave.
        sort_by: Those that are equal in it come in the order of their ids; those of one status in
            the order of their creation.
    """

    thread_id: str | None = None
    statuses: tuple[RunStatus, ...] | None = None
    assistant: str | None = None
    text: str | None = Field(None, min_length=1, max_length=256)
    sort_by: RunSortKey = "created_at"


class Row(NamedTuple):
    """One that was found, and the revision of its record that the read model knows."""

    id: str
    revision: int


class Found(NamedTuple):
    """One page, in order, and how many there are on all pages."""

    rows: list[Row]
    total: int


class Expired(NamedTuple):
    """A thread or a run whose time is over.

    Attributes:
        id: Of the thread or the run.
        thread_id: The thread it is, or is in.
        since: When the thread last changed, or when the run ended.
        strategy: What of it goes.
    """

    id: str
    thread_id: str
    since: datetime
    strategy: Strategy = "delete"


class ThreadLimits(NamedTuple):
    """What makes a thread at rest expire, beside a time of its own.

    Attributes:
        ttl_s: Seconds from its last change, for threads without a time of their own.
        strategy: What goes then.
        max_threads: How many threads are kept; of others that rest longest all goes.
    """

    ttl_s: float | None = None
    strategy: Strategy = "delete"
    max_threads: int | None = None
