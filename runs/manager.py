"""Creates threads and runs, cancels runs, and gives runs to workers.

Any number of processes may do so on the same threads, and each may die at any moment.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from bridge import RunBridge, RunRef, StateConflictError
from runs.admission import new_thread
from runs.answers import Answers
from runs.assistant_book import AssistantBook, Chosen
from runs.catalog import AssistantCatalog
from runs.commands import Amend, Ask, BecomeDue, NoteTrimmed, Release, RequestCancel, Start
from runs.creation import RunCreation
from runs.crons.crons import Crons
from runs.deletion import Deletion
from runs.effects import Nudge
from runs.errors import (
    RunNotCancellableError,
    RunNotFoundError,
    ThreadExistsError,
    ThreadNotFoundError,
    UnsupportedActionError,
    UnsupportedOptionError,
)
from runs.models import CancelAction, CancelOutcome, RunRecord, RunSpec, RunStatus, now
from runs.quotas import Quotas
from runs.reconciler import Reconciler
from runs.records import Records, Versioned
from runs.settings import RunSettings
from runs.steps import ThreadSteps
from runs.thread import ActiveRun, Question, ThreadRecord
from runs.time_to_live import TimeToLive
from runs.webhooks.announcing import Webhooks
from runs.webhooks.sending import WebhookPolicy


class RunManager:
    """Run control over JetStream; holds nothing that another process would have to agree with.

    Args:
        bridge: A started bridge.
        catalog: The assistants that may be asked for.
        settings: Limits of admission.
        webhooks: Says which webhooks may be asked for; ``None``: none.
    """

    def __init__(
        self,
        bridge: RunBridge,
        catalog: AssistantCatalog,
        settings: RunSettings | None = None,
        webhooks: WebhookPolicy | None = None,
    ) -> None:
        limits = settings or RunSettings()
        self._assistants = AssistantBook(bridge, catalog, limits.max_assistant_versions)
        self.records = Records(bridge)
        self.webhooks = Webhooks(bridge)
        self._webhook_policy = webhooks
        self._steps = ThreadSteps(self.records, max_conflicts=limits.max_conflicts)
        quotas = Quotas(bridge.states, self.records, limits)
        self.reconciler = Reconciler(bridge, self.records, self._steps, quotas)
        self._answers = Answers(
            self.records, self._steps, self.reconciler, max_bytes=limits.max_input_bytes
        )
        self._creation = RunCreation(
            bridge, self._assistants, self.records, self._steps, self.reconciler, limits
        )
        self.crons = Crons(bridge, limits, self._check_lasting)
        self.deletion = Deletion(
            bridge,
            self.records,
            self._steps,
            self.reconciler,
            self.crons,
            wait_s=limits.delete_wait_s,
        )

    async def create_thread(
        self,
        thread_id: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        ttl: TimeToLive | None = None,
        user_id: str | None = None,
    ) -> ThreadRecord:
        """Create a thread.

        Args:
            thread_id: Its id; ``None`` makes one.
            metadata: A JSON object kept with it.
            ttl: How long it stays when nobody changes it; ``None``: as the deployment says.
            user_id: Its owner; ``None`` where there is no authentication.

        Raises:
            InvalidIdError: ``thread_id`` is not one subject token.
            ThreadExistsError: The id is taken; nothing was changed.
        """
        thread = new_thread(thread_id, metadata, user_id, ttl)
        try:
            stored = await self.records.write_thread(thread, revision=0)
        except StateConflictError as exc:
            raise ThreadExistsError(thread.thread_id) from exc
        self._creation.expect_run(stored)
        return stored.record

    def expect_run(self, thread: Versioned[ThreadRecord]) -> None:
        """Remember a thread as it was read a moment ago; see :meth:`RunCreation.expect_run`."""
        self._creation.expect_run(thread)

    async def get_thread(self, thread_id: str, *, user_id: str | None = None) -> ThreadRecord:
        """Return a thread.

        Raises:
            ThreadNotFoundError: There is none, or it is someone else's.
        """
        return (await self._get_thread(thread_id, user_id)).record

    async def _get_thread(self, thread_id: str, user_id: str | None) -> Versioned[ThreadRecord]:
        found = await self.records.find_thread(thread_id)
        if found is None or found.record.deleting:
            raise ThreadNotFoundError(thread_id)
        if user_id not in (None, found.record.user_id):
            raise ThreadNotFoundError(thread_id)
        return found

    async def amend_thread(
        self,
        thread_id: str,
        metadata: Mapping[str, Any],
        *,
        ttl: TimeToLive | None = None,
        user_id: str | None = None,
    ) -> ThreadRecord:
        """Set the named fields of a thread's metadata, and how long it stays; the rest stays.

        Raises:
            ThreadNotFoundError: There is none, or it is someone else's.
            InvalidContentError: ``metadata`` is not JSON; nothing was changed.
        """
        known = await self._get_thread(thread_id, user_id)
        command = Amend(metadata, now(), ttl)
        return (await self._steps.take(thread_id, command, known=known)).thread

    async def note_trimmed(self, thread_id: str, idle_since: datetime) -> bool:
        """Note that a thread's history was removed, unless it has changed after an instant.

        Returns:
            Whether it is noted.

        Raises:
            ThreadNotFoundError: It is deleted.
            UnavailableError: The server fell silent; call again.
        """
        taken = await self._steps.take(thread_id, NoteTrimmed(now(), idle_since))
        return taken.thread.is_trimmed

    async def check(self, spec: RunSpec) -> None:
        """Raise what :meth:`create` would raise at this moment; nothing is stored.

        Raises:
            RunsError: The run would be refused.
        """
        await self._check_webhook(spec)
        await self._creation.check(spec)

    async def _check_lasting(self, spec: RunSpec) -> Chosen:
        """Raise what would refuse such runs at any time; a thread that is busy now does not."""
        await self._check_webhook(spec)
        chosen = await self._creation.choose(spec)
        if spec.thread_id is not None:
            await self.get_thread(spec.thread_id, user_id=spec.user_id)
        return chosen

    async def create(self, spec: RunSpec, *, followed: bool = False) -> RunRecord:
        """Create a run; it is executed when its turn comes.

        With an ``idempotency_key`` that was used before, nothing is created: the record of the
        first run is returned, however far that has come. With a ``command`` that answers, the run
        that asked goes on: its record is returned.

        Args:
            spec: What is asked for.
            followed: Whether the caller will follow the run at once, which costs less then.

        Returns:
            Its record, once its log can be followed.

        Raises:
            AssistantNotFoundError: Nobody declared the assistant; nothing was stored.
            ThreadNotFoundError: The thread does not exist; nothing was stored.
            RunConflictError: The thread is busy and the strategy is ``reject``.
            TooManyRunsError: The user, or the assistant, has as many runs under way as it may.
            QueueFullError: Too many runs wait on the thread; nothing was stored.
            IdempotencyKeyUsedError: The key was used for another request, or its run is removed.
            UnsupportedOptionError: An option is not available; nothing was stored.
            NothingToResumeError: ``command`` brings an answer, and no run waits for one.
            WebhookRefusedError: The webhook must not be called; nothing was stored.
            InvalidContentError: The input is not JSON; nothing was stored.
            StreamCapacityExceededError: The log has no room; the run does not exist. Those it was
                to replace are stopped all the same.
            UnavailableError: The server fell silent; the run may exist.
        """
        if spec.command is not None:
            chosen = await self._assistants.choose(spec.assistant_id, user_id=spec.user_id)
            if not chosen.assistant.is_graph:
                return await self._answers.give(spec, chosen.assistant)
        await self._check_webhook(spec)
        return await self._creation.create(spec, followed=followed)

    async def _check_webhook(self, spec: RunSpec) -> None:
        if spec.webhook is None:
            return
        if self._webhook_policy is None:
            raise UnsupportedOptionError("webhook")
        await self._webhook_policy.check(spec.webhook)

    async def start(
        self, run: RunRef, worker: str, attempt: int, known: Versioned[ThreadRecord] | None = None
    ) -> Versioned[ThreadRecord]:
        """Let a worker begin to execute the active run of a thread.

        Raises:
            RunNotStartableError: It has finished, is cancelled, waits, or has begun elsewhere.
        """
        command = Start(run.run_id, worker, attempt, now())
        return (await self._steps.take(run.thread_id, command, known)).versioned

    async def become_due(self, run: RunRef) -> None:
        """Put a run in line whose time has come; one that has left is passed over. Idempotent.

        Raises:
            ThreadNotFoundError: The thread is deleted.
            UnavailableError: The server fell silent; call again.
        """
        taken = await self._steps.take(run.thread_id, BecomeDue(run.run_id, now()))
        await self.reconciler.apply(taken)

    async def ask(self, run: RunRef, attempt: int, question: Question | None) -> ActiveRun:
        """Let the active run of a thread wait for its user; without a question, wait no longer.

        Raises:
            RunNotStartableError: It has finished, or another attempt has begun.
            InputTooLargeError: The question exceeds ``max_input_bytes``; nothing was asked.
        """
        if question is not None:
            self._answers.check_size("a question", question.prompt)
        taken = await self._steps.take(run.thread_id, Ask(run.run_id, attempt, question, now()))
        await self.reconciler.apply(taken)
        active = taken.thread.find_active(run.run_id)
        assert active is not None  # noqa: S101 - the rules refuse any other
        return active

    async def release(self, run: RunRef, attempt: int) -> None:
        """Say that a worker gives a run back, to be executed again; a stale call does nothing.

        Raises:
            ThreadNotFoundError: The thread is deleted.
            UnavailableError: The server fell silent; the run will count as lost.
        """
        await self._steps.take(run.thread_id, Release(run.run_id, attempt, now()))

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
