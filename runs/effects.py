"""What is to be done after a step is committed; each may be done more than once."""

from dataclasses import dataclass
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


RunEffect: TypeAlias = CreateLog | EnqueueJob | Nudge | Seal | RollBack
Effect: TypeAlias = RunEffect | Retire
