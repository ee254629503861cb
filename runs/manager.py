"""Creates threads and runs, cancels runs, and gives runs to workers.

Any number of processes may do so on the same threads. Order of writes when a run is created: its
record, the thread's commit, the birth of its log, its job. A crash between any two of them leaves
a state from which the rest is done by whoever comes next.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bridge import (
    BridgeError,
    JetStreamBridge,
    RunRef,
    StateConflictError,
    UnavailableError,
    check_id,
    new_id,
)
from runs.admission import new_record, refuse_unavailable
from runs.catalog import AssistantCatalog
from runs.errors import (
    RunNotCancellableError,
    RunNotFoundError,
    RunsError,
    ThreadExistsError,
    ThreadNotFoundError,
    UnsupportedActionError,
)
from runs.models import (
    CancelAction,
    CancelOutcome,
    Outcome,
    RunFault,
    RunRecord,
    RunSpec,
    RunStatus,
    now,
)
from runs.reconciler import Reconciler
from runs.records import Records, Versioned
from runs.settings import RunSettings
from runs.steps import Taken, ThreadSteps
from runs.thread import ThreadRecord
from runs.transitions import Admit, Finish, Nudge, RequestCancel, Start, transition


class RunManager:
    """Run control over JetStream; holds nothing that another process would have to agree with.

    Args:
        bridge: A started bridge.
        catalog: The assistants that may be asked for.
        settings: Limits of admission.
    """

    def __init__(
        self,
        bridge: JetStreamBridge,
        catalog: AssistantCatalog,
        settings: RunSettings | None = None,
    ) -> None:
        self._settings = settings or RunSettings()
        self._catalog = catalog
        self.records = Records(bridge)
        self._steps = ThreadSteps(self.records, max_conflicts=self._settings.max_conflicts)
        self.reconciler = Reconciler(bridge, self.records, self._steps)

    async def create_thread(
        self,
        thread_id: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        user_id: str | None = None,
    ) -> ThreadRecord:
        """Create a thread.

        Args:
            thread_id: Its id; ``None`` makes one.
            metadata: A JSON object kept with it.
            user_id: Its owner; ``None`` where there is no authentication.

        Raises:
            InvalidIdError: ``thread_id`` is not one subject token.
            ThreadExistsError: The id is taken; nothing was changed.
        """
        thread = _new_thread(thread_id, metadata, user_id)
        try:
            return (await self.records.write_thread(thread, revision=0)).record
        except StateConflictError as exc:
            raise ThreadExistsError(thread.thread_id) from exc

    async def get_thread(self, thread_id: str, *, user_id: str | None = None) -> ThreadRecord:
        """Return a thread.

        Raises:
            ThreadNotFoundError: There is none, or it is someone else's.
        """
        return (await self._get_thread(thread_id, user_id)).record

    async def _get_thread(self, thread_id: str, user_id: str | None) -> Versioned[ThreadRecord]:
        found = await self.records.find_thread(thread_id)
        if found is None or user_id not in (None, found.record.user_id):
            raise ThreadNotFoundError(thread_id)
        return found

    async def create(self, spec: RunSpec) -> RunRecord:
        """Create a run; it is executed when its turn comes.

        Returns:
            Its record, once its log can be followed.

        Raises:
            AssistantNotFoundError: Nobody declared the assistant; nothing was stored.
            ThreadNotFoundError: The thread does not exist; nothing was stored.
            RunConflictError: The thread is busy and the strategy is ``reject``.
            QueueFullError: Too many runs wait on the thread; nothing was stored.
            UnsupportedOptionError: An option is not available; nothing was stored.
            InvalidContentError: The input is not JSON; nothing was stored.
            StreamCapacityExceededError: The log has no room; the thread is as before.
            UnavailableError: The server fell silent; the run may exist.
        """
        refuse_unavailable(spec)
        assistant = self._catalog.get(spec.assistant_id)
        thread = await self._thread_for(spec)
        record = new_record(spec, assistant, thread.record.thread_id)
        command = Admit(
            run_id=record.run_id,
            executor=record.executor,
            strategy=spec.multitask_strategy,
            max_queued=self._settings.max_queued_runs,
            at=record.created_at,
            user_id=spec.user_id,
        )
        await self._free_if_stale(thread.record)
        transition(thread.record, command)  # most refusals come here, before anything is stored
        stored = await self.records.create_run(record)
        try:
            taken = await self._steps.take(record.thread_id, command, known=thread)
        except RunsError:
            await self._withdraw(stored)
            raise
        await self._bring_up(stored, taken)
        return record

    async def _thread_for(self, spec: RunSpec) -> Versioned[ThreadRecord]:
        if spec.thread_id is None:
            fresh = _new_thread(None, None, spec.user_id).model_copy(update={"temporary": True})
            return Versioned(fresh, 0)
        found = await self.records.find_thread(check_id("thread_id", spec.thread_id))
        if found is not None:
            return found
        if spec.if_not_exists == "reject":
            raise ThreadNotFoundError(spec.thread_id)
        return Versioned(_new_thread(spec.thread_id, None, spec.user_id), 0)

    async def _free_if_stale(self, thread: ThreadRecord) -> None:
        active = thread.active
        if active is None or active.started:
            return
        if (now() - active.since).total_seconds() > self._settings.stale_s:
            # Its creator may have died before it queued the job.
            await self.reconciler.repair(thread.thread_id)

    async def _withdraw(self, run: Versioned[RunRecord]) -> None:
        # If it changed, somebody refers to it after all.
        with suppress(StateConflictError):
            await self.records.delete_run(run)

    async def _bring_up(self, run: Versioned[RunRecord], taken: Taken) -> None:
        try:
            await self.reconciler.apply(taken)
        except UnavailableError:
            raise  # what is left to do stands in the state
        except BridgeError as exc:
            fault = RunFault(error=type(exc).__name__, message=str(exc))
            outcome = Outcome(RunStatus.ERROR, error=fault)
            finish = Finish(run.record.run_id, outcome, now())
            await self._steps.take(run.record.thread_id, finish)
            await self._withdraw(run)
            with suppress(BridgeError):  # what is left to do stands in the state
                await self.reconciler.repair(run.record.thread_id)
            raise

    async def start(
        self, run: RunRef, worker: str, attempt: int, known: Versioned[ThreadRecord] | None = None
    ) -> ThreadRecord:
        """Let a worker begin to execute the active run of a thread.

        Raises:
            RunNotStartableError: It has finished, is cancelled, waits, or has begun elsewhere.
        """
        command = Start(run.run_id, worker, attempt, now())
        return (await self._steps.take(run.thread_id, command, known)).thread

    async def cancel(
        self, run: RunRef, action: str = "interrupt", *, user_id: str | None = None
    ) -> CancelOutcome:
        """Stop a run: at once when nobody executes it, else through its worker. Idempotent.

        Args:
            run: The run.
            action: ``interrupt`` keeps the run as interrupted; ``rollback`` removes it and leaves
                the thread as it was before. The first wish counts.
            user_id: Who asks; ``None`` may cancel every run.

        Returns:
            ``STOPPED`` when the run has ended, ``STOPPING`` when its worker was told.

        Raises:
            UnsupportedActionError: There is no such action.
            RunNotFoundError: There is no such run in the thread, or it is someone else's.
            RunNotCancellableError: It has finished by itself.
        """
        if action not in list(CancelAction):
            raise UnsupportedActionError(action)
        found, thread, terminal = await asyncio.gather(
            self.records.find_run(run.run_id),
            self.records.find_thread(run.thread_id),
            self.reconciler.find_terminal(run),
        )
        if found is None or found.record.thread_id != run.thread_id:
            raise RunNotFoundError(run.run_id)
        if user_id not in (None, found.record.user_id):
            raise RunNotFoundError(run.run_id)
        if terminal is not None:
            return await self._cancelled_before(run)
        command = RequestCancel(run.run_id, CancelAction(action), now())
        try:
            taken = await self._steps.take(run.thread_id, command, known=thread)
        except RunNotFoundError:
            return await self._cancelled_before(run)
        await self.reconciler.apply(taken)
        if Nudge(run.run_id) in taken.effects:
            return CancelOutcome.STOPPING
        with suppress(RunNotFoundError):  # it is rolled back
            return await self._cancelled_before(run)
        return CancelOutcome.STOPPED

    async def _cancelled_before(self, run: RunRef) -> CancelOutcome:
        record = await self.reconciler.settle(run)
        if record.status is RunStatus.INTERRUPTED:
            return CancelOutcome.STOPPED
        if record.status.is_final:
            raise RunNotCancellableError(run.run_id, record.status)
        raise RunNotFoundError(run.run_id)

    async def settle(self, run: RunRef) -> RunRecord:
        """Make record and thread agree with a sealed log; see :meth:`Reconciler.settle`.

        Raises:
            RunNotFoundError: There is no such run in the thread.
        """
        return await self.reconciler.settle(run)


def _new_thread(
    thread_id: str | None, metadata: Mapping[str, Any] | None, user_id: str | None
) -> ThreadRecord:
    created = now()
    return ThreadRecord(
        thread_id=new_id() if thread_id is None else check_id("thread_id", thread_id),
        user_id=user_id,
        metadata=dict(metadata or {}),
        created_at=created,
        updated_at=created,
    )
