"""What an observer of runs can hear."""

from collections.abc import Mapping
from typing import Any, Protocol

from runs.models import RunRecord
from runs.thread import ThreadRecord


class RunObserver(Protocol):
    """Hears what becomes of runs and threads; subclass it and override what is of interest.

    A call that raises or takes too long is logged, counted and not repeated. None can disturb a
    run: whoever executes runs does not know of observers.
    """

    async def human_message(self, run: RunRecord, message: Mapping[str, Any]) -> None:
        """Hear a message of a person in the input of a new run."""

    async def started(self, run: RunRecord) -> None:
        """Hear that a worker has begun with a run; later attempts are not told."""

    async def completed(self, run: RunRecord) -> None:
        """Hear that a run has succeeded."""

    async def failed(self, run: RunRecord) -> None:
        """Hear that a run has ended in an error or took too long; ``run.error`` says why."""

    async def cancelled(self, run: RunRecord) -> None:
        """Hear that a run was interrupted; one that was rolled back leaves nothing to tell."""

    async def thread_status(self, thread: ThreadRecord) -> None:
        """Hear that a thread does something else than when it was told last."""
