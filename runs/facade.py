"""What a gateway calls: runs and threads as their users see them.

Nothing here is shown before it is final: waiting for a run returns after record and thread state
agree with its log.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

from bridge import (
    Following,
    RunBridge,
    RunRef,
    StreamEvent,
    StreamNotFoundError,
    check_id,
)
from runs.errors import (
    RunFailedError,
    RunInterruptedError,
    RunNotCancellableError,
    RunNotFoundError,
    ThreadNotFoundError,
    WebhookNotFoundError,
)
from runs.manager import RunManager
from runs.models import CancelOutcome, Result, RunFault, RunRecord, RunSpec, RunStatus
from runs.question_facade import QuestionsFacade
from runs.read_model import ReadModel
from runs.run_waits import RunWaits
from runs.thread import ThreadRecord
from runs.webhooks.record import WebhookRecord

#: A worker that has sealed a log writes record and thread within this time, or is gone.
_LEFT_TO_WORKER_S: Final = 1.0


class RunsFacade(QuestionsFacade):
    """Threads and runs for the callers of one process.

    Args:
        manager: Decides and stores.
        bridge: Follows logs and reads final values.
        model: Finds threads and runs; see :class:`ThreadsFacade`.
    """

    def __init__(
        self, manager: RunManager, bridge: RunBridge, model: ReadModel | None = None
    ) -> None:
        super().__init__(manager, bridge, model)
        self._waits = RunWaits(manager, bridge)

    async def create_background(self, spec: RunSpec, *, followed: bool = False) -> RunRecord:
        """Create a run; see :meth:`RunManager.create`.

        Raises:
            RunsError: The run is refused; nothing was stored.
        """
        return await self._manager.create(spec, followed=followed)

    async def check(self, spec: RunSpec) -> None:
        """Raise what :meth:`create_background` would raise at this moment; nothing is stored.

        Raises:
            RunsError: The run would be refused.
        """
        await self._manager.check(spec)

    async def get_run(
        self, thread_id: str, run_id: str, *, user_id: str | None = None
    ) -> RunRecord:
        """Return a run of a thread.

        Raises:
            RunNotFoundError: There is none in this thread, or it is someone else's.
        """
        record = await self.find_run(run_id, user_id=user_id)
        if record is None or record.thread_id != thread_id:
            raise RunNotFoundError(run_id)
        return record

    async def find_run(self, run_id: str, *, user_id: str | None = None) -> RunRecord | None:
        """Return a run of any thread; ``None`` when there is none, or it is someone else's."""
        found = await self._manager.records.find_run(check_id("run_id", run_id))
        if found is None or user_id not in (None, found.record.user_id):
            return None
        return found.record

    async def get_webhook(
        self, thread_id: str, run_id: str, *, user_id: str | None = None
    ) -> WebhookRecord:
        """Return what became of the call of a run's webhook.

        Raises:
            RunNotFoundError: There is no such run in this thread, or it is someone else's.
            WebhookNotFoundError: The run was created without one.
        """
        run = await self.get_run(thread_id, run_id, user_id=user_id)
        if run.webhook is None:
            raise WebhookNotFoundError(run_id)
        return await self._manager.webhooks.find(run_id) or WebhookRecord.waiting(run)

    async def cancel(
        self,
        thread_id: str,
        run_id: str,
        *,
        action: str = "interrupt",
        wait: bool = False,
        user_id: str | None = None,
    ) -> CancelOutcome:
        """Stop a run; a second cancel is accepted and changes nothing.

        Args:
            thread_id: The thread.
            run_id: The run.
            action: ``interrupt``, or ``rollback`` to remove the run, too.
            wait: Whether to return only after the run has ended.
            user_id: Who asks; ``None`` may cancel every run.

        Raises:
            RunNotFoundError: There is no such run in this thread, or it is someone else's.
            RunNotCancellableError: It has finished by itself.
        """
        run = RunRef.checked(thread_id, run_id)
        outcome = await self._manager.cancel(run, action, user_id=user_id)
        if wait and outcome is CancelOutcome.STOPPING:
            with suppress(RunNotFoundError):  # it is rolled back
                await self._waits.end(run)
            return CancelOutcome.STOPPED
        return outcome

    async def cancel_all(
        self,
        *,
        thread_id: str | None = None,
        is_started: bool | None = None,
        action: str = "interrupt",
        user_id: str | None = None,
    ) -> None:
        """Stop all runs under way.

        Args:
            thread_id: Only this thread's; ``None`` means all.
            is_started: Only those that a worker has begun, or only the others; ``None`` means all.
            action: ``interrupt``, or ``rollback`` to remove the runs, too.
            user_id: Only this user's; ``None`` means everybody's.

        Raises:
            ThreadNotFoundError: There is no such thread, or it is someone else's.
            RunsError, BridgeError: As for :meth:`search_runs`, when it is about all threads.
        """
        if thread_id is not None:
            thread = await self.get_thread(thread_id, user_id=user_id)
            await self._cancel_in(thread, action, is_started=is_started)
            return
        for busy_id in await self._model.inflight_threads(user_id):
            with suppress(ThreadNotFoundError):  # it is deleted meanwhile
                thread = await self.get_thread(busy_id, user_id=user_id)
                await self._cancel_in(thread, action, is_started=is_started)

    async def _cancel_in(
        self, thread: ThreadRecord, action: str, *, is_started: bool | None
    ) -> None:
        for run_id in reversed(thread.inflight_ids):
            begun = thread.active is not None and thread.active.has_begun(run_id)
            if is_started in (None, begun):
                with suppress(RunNotCancellableError, RunNotFoundError):  # it has just ended
                    await self.cancel(thread.thread_id, run_id, action=action)

    async def delete_run(self, thread_id: str, run_id: str, *, user_id: str | None = None) -> bool:
        """Delete a run with its events, for good; when it is under way, it is stopped first.

        When the run's final values are the thread's, the thread has none afterwards.

        Returns:
            Whether there was one to delete.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        run = RunRef.checked(thread_id, run_id)
        if user_id is not None:
            thread = await self._manager.records.find_thread(thread_id)
            if thread is None or thread.record.user_id != user_id:
                return False
        return await self._manager.deletion.delete_run(run)

    async def join_wait(
        self,
        thread_id: str,
        run_id: str,
        *,
        user_id: str | None = None,
        created: RunRecord | None = None,
    ) -> Any:
        """Wait until a run has ended and return its final values, or what it asks its user.

        Args:
            thread_id: The thread.
            run_id: The run.
            user_id: Who asks; ``None`` may see every run.
            created: The record as the caller has just got it from a create; spares a read.

        Raises:
            RunNotFoundError: There is no such run in this thread, or it is someone else's.
            RunFailedError: It failed.
            RunInterruptedError: It was cancelled.
            BridgeClosedError: This process is shutting down; join again elsewhere.
        """
        record = created or await self.get_run(thread_id, run_id, user_id=user_id)
        values: StreamEvent | None = None
        result = record.result
        if not result.status.is_final:
            run = RunRef(thread_id, run_id)
            try:
                question, values = await self._waits.pause(run, has_begun=record.attempt > 0)
                if question is not None:
                    return question.shown()
                result = await self._waits.settled(run, within_s=_LEFT_TO_WORKER_S)
            except RunNotFoundError as exc:  # it was rolled back, or deleted
                raise RunInterruptedError(run_id) from exc
        if result.status is RunStatus.INTERRUPTED:
            raise RunInterruptedError(run_id)
        if result.status is not RunStatus.SUCCESS:
            fault = result.error or RunFault(error="Error", message=result.status)
            raise RunFailedError(run_id, fault.error, fault.message)
        if values is not None and values.id == result.outputs:
            return values.data
        return None if result.outputs is None else await self._values_of(run_id, result.outputs)

    @asynccontextmanager
    async def join_stream(
        self,
        thread_id: str,
        run_id: str,
        *,
        last_event_id: str | None = None,
        user_id: str | None = None,
    ) -> AsyncGenerator[Following]:
        """Open a run for reading, just after the event ``last_event_id``.

        Raises:
            RunNotFoundError: There is no such run in this thread, or it is someone else's.
        """
        if user_id is not None or await self._bridge.find_thread(run_id) != thread_id:
            await self.get_run(thread_id, run_id, user_id=user_id)
        async with AsyncExitStack() as stack:
            try:
                run = RunRef(thread_id, run_id)
                opening = self._waits.following(run, last_event_id=last_event_id)
                following = await stack.enter_async_context(opening)
            except StreamNotFoundError as exc:
                raise RunNotFoundError(run_id) from exc
            yield following

    async def wait_settled(self, thread_id: str, run_id: str, *, within_s: float) -> Result:
        """Return how a run ended once record and thread agree with its sealed log.

        Args:
            thread_id: The thread.
            run_id: The run.
            within_s: Seconds that are left to the run's worker; then they are written here.

        Raises:
            RunNotFoundError: There is no such run, or it is rolled back.
        """
        return await self._waits.settled(RunRef.checked(thread_id, run_id), within_s=within_s)

    async def settle(self, thread_id: str, run_id: str) -> RunRecord:
        """Make record and thread final when the run's log is sealed; call it before showing that.

        Raises:
            RunNotFoundError: There is no such run in this thread.
        """
        return await self._manager.settle(RunRef.checked(thread_id, run_id))
