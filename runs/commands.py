"""What a thread can be told; see :mod:`runs.transitions` for what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from runs.models import CancelAction, MultitaskStrategy, Outcome


@dataclass(frozen=True, slots=True)
class Admit:
    """Let a new run in. Its id was never used before, unless this is the same call again.

    ``user_id`` is who asks; ``None`` may use every thread.
    """

    run_id: str
    executor: str
    strategy: MultitaskStrategy
    max_queued: int
    at: datetime
    user_id: str | None = None


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
class MergeMetadata:
    """Somebody adds to the thread's metadata, or changes some of it."""

    metadata: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Delete:
    """Somebody deletes the thread: its runs stop, and nothing is let in any more.

    With ``idle_since``, only if no run is under way and nothing has changed after that instant.
    """

    at: datetime
    idle_since: datetime | None = None


Command: TypeAlias = (
    Admit | Start | Release | RequestCancel | Finish | Forget | MergeMetadata | Delete
)
