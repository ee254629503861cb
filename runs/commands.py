"""What a thread can be told; see :mod:`runs.transitions` for what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from runs.models import CancelAction, MultitaskStrategy, Outcome
from runs.thread import Question
from runs.time_to_live import TimeToLive


@dataclass(frozen=True, slots=True)
class Admit:
    """Let a new run in. Its id was never used before, unless this is the same call again.

    ``user_id`` is who asks; ``None`` may use every thread. ``due`` is when the run may begin;
    ``None`` means now.
    """

    run_id: str
    executor: str
    strategy: MultitaskStrategy
    max_queued: int
    at: datetime
    user_id: str | None = None
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class BecomeDue:
    """The time of a delayed run has come."""

    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Start:
    """A worker wants to execute the active run, as this attempt."""

    run_id: str
    worker: str
    attempt: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """A worker that goes gives the run back, to be executed again."""

    run_id: str
    attempt: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Ask:
    """The active run asks its user something and waits; without a question it waits no longer."""

    run_id: str
    attempt: int
    question: Question | None
    at: datetime


@dataclass(frozen=True, slots=True)
class GiveAnswer:
    """Somebody answers what the thread's active run asks; ``user_id`` is who."""

    executor: str
    value: Any
    at: datetime
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class RequestCancel:
    """Someone wants the run to stop."""

    run_id: str
    action: CancelAction
    at: datetime


@dataclass(frozen=True, slots=True)
class Finish:
    """The run's log is sealed, and its record says so, or is removed when it is rolled back."""

    run_id: str
    outcome: Outcome
    at: datetime
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class Forget:
    """A run that has ended is deleted: its values are the thread's no longer."""

    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Amend:
    """Somebody adds to the thread's metadata, or changes some of it, or how long it stays.

    Without a ``ttl`` that stays as it is; without anything the thread counts as changed all the
    same.
    """

    metadata: Mapping[str, Any]
    at: datetime
    ttl: TimeToLive | None = None


@dataclass(frozen=True, slots=True)
class NoteTrimmed:
    """The thread's history was removed for its age; it does not count as a change.

    It counts for nothing when a run is under way, or something has changed after ``idle_since``.
    """

    at: datetime
    idle_since: datetime


@dataclass(frozen=True, slots=True)
class Delete:
    """Somebody deletes the thread: its runs stop, and nothing is let in any more.

    With ``idle_since``, only if no run is under way and nothing has changed after that instant.
    """

    at: datetime
    idle_since: datetime | None = None


Command: TypeAlias = (
    Admit
    | BecomeDue
    | Start
    | Release
    | Ask
    | GiveAnswer
    | RequestCancel
    | Finish
    | Forget
    | Amend
    | NoteTrimmed
    | Delete
)
