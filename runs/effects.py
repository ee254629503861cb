"""What is to be done after a step is committed; each may be done more than once."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class CreateLog:
    """Bring the run's log into being."""

    run_id: str


@dataclass(frozen=True, slots=True)
class EnqueueJob:
    """Offer the run to the workers of its executor."""

    run_id: str
    executor: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Have the run put in line when its time has come."""

    run_id: str
    due: datetime


@dataclass(frozen=True, slots=True)
class ClearTimer:
    """Remove the timer of a run that has left before its time; one that stays does no harm."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Nudge:
    """Make the run's worker look at the thread."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Seal:
    """End a run that nobody executes as cancelled, and settle it."""

    run_id: str


@dataclass(frozen=True, slots=True)
class RollBack:
    """Remove the record of a run whose log is sealed, then finish it."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Have the thread removed by a worker, when it is time and nobody else has done it."""


RunEffect: TypeAlias = CreateLog | EnqueueJob | SetTimer | ClearTimer | Nudge | Seal | RollBack
Effect: TypeAlias = RunEffect | Retire
