"""Answer what a run asks: a create with ``command: {"resume": ...}`` lets the waiting run go on."""

from typing import Any, Final

from bridge import encode_json
from runs.catalog import Assistant
from runs.commands import GiveAnswer
from runs.errors import (
    InputTooLargeError,
    NothingToResumeError,
    ThreadNotFoundError,
    UnsupportedOptionError,
)
from runs.models import RunRecord, RunSpec, now
from runs.reconciler import Reconciler
from runs.records import Records
from runs.steps import ThreadSteps

_RESUME: Final = "resume"


class Answers:
    """Gives answers to runs that wait for their user.

    Args:
        records: The stored records.
        steps: Commits the answer.
        reconciler: Tells the worker.
        max_bytes: Of a question, and of an answer; both stand in the thread's record.
    """

    def __init__(
        self,
        records: Records,
        steps: ThreadSteps,
        reconciler: Reconciler,
        *,
        max_bytes: int,
    ) -> None:
        self._records = records
        self._steps = steps
        self._reconciler = reconciler
        self._max_bytes = max_bytes

    async def give(self, spec: RunSpec, assistant: Assistant) -> RunRecord:
        """Answer the run that waits on the thread of ``spec``.

        Returns:
            The record of that run.

        Raises:
            UnsupportedOptionError: The command is more than an answer, or comes with an option
                that belongs to a new run alone.
            NothingToResumeError: No run of this assistant waits there.
            InputTooLargeError: The answer is too large; the run still waits.
            InvalidContentError: The answer is not JSON; the run still waits.
            UnavailableError: The server fell silent; the answer may be given.
        """
        command = spec.command or {}
        for name in command.keys() - {_RESUME}:
            raise UnsupportedOptionError(f"command.{name}")
        for option in ("idempotency_key", "after_seconds"):
            if getattr(spec, option):
                raise UnsupportedOptionError(option)
        if spec.thread_id is None:
            raise UnsupportedOptionError("command")
        value = command.get(_RESUME)
        self.check_size("an answer", value)
        answer = GiveAnswer(assistant.name, value, now(), spec.user_id)
        try:
            taken = await self._steps.take(spec.thread_id, answer)
        except ThreadNotFoundError:
            if spec.if_not_exists == "create":
                raise NothingToResumeError(spec.thread_id) from None
            raise
        await self._reconciler.apply(taken)
        active = taken.thread.active
        found = None if active is None else await self._records.find_run(active.run_id)
        if found is None:  # deleted in the same moment
            raise NothingToResumeError(spec.thread_id)
        return found.record

    def check_size(self, what: str, value: Any) -> None:
        """Check that a thread's record has room for a question or an answer.

        Raises:
            InputTooLargeError: It is too large.
            InvalidContentError: It is not JSON.
        """
        size = len(encode_json(value))
        if size > self._max_bytes:
            raise InputTooLargeError(what, size, self._max_bytes)
