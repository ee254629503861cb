"""Create runs: record and ref, the thread's commit, the birth of the log, the job, in this order.

The commit counts. A crash before it leaves a record that nobody refers to; a crash behind it leaves
a state from which whoever comes next does the rest.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import Final

from bridge import (
    BridgeError,
    RunBridge,
    RunRef,
    StateConflictError,
    UnavailableError,
    check_id,
    new_id,
)
from runs.admission import find_wrong_place, new_record, new_thread, refuse_unavailable
from runs.assistant_book import AssistantBook, Chosen
from runs.commands import Admit, Finish
from runs.errors import ContentionError, RunsError, ThreadNotFoundError, TooManyRunsError
from runs.idempotency import IdempotencyKeys
from runs.models import Outcome, RunFault, RunRecord, RunSpec, RunStatus, now
from runs.reconciler import Reconciler
from runs.records import Records, Versioned
from runs.settings import RunSettings
from runs.steps import Taken, ThreadSteps
from runs.thread import ThreadRecord
from runs.transitions import transition
from runs.turns import Step

_MAX_TRIES: Final = 8
#: Threads at rest that this process remembers; of others the record is read.
_MAX_REMEMBERED: Final = 1024
#: Of a thread that is remembered; a client may give one megabytes of metadata.
_MAX_REMEMBERED_BYTES: Final = 4096


class RunCreation:
    """Lets runs in.

    Args:
        bridge: A started bridge.
        assistants: Those that may be asked for.
        records: The stored records.
        steps: Commits the admission.
        reconciler: Does what follows from it, and counts the runs under way.
        settings: Limits of admission.
    """

    def __init__(
        self,
        bridge: RunBridge,
        assistants: AssistantBook,
        records: Records,
        steps: ThreadSteps,
        reconciler: Reconciler,
        settings: RunSettings,
    ) -> None:
        self._bridge = bridge
        self._assistants = assistants
        self._records = records
        self._steps = steps
        self._reconciler = reconciler
        self._settings = settings
        self._keys = IdempotencyKeys(bridge)
        self._at_rest: OrderedDict[str, Versioned[ThreadRecord]] = OrderedDict()

    def expect_run(self, thread: Versioned[ThreadRecord]) -> None:
        """Remember a thread that was made or read here: its next run then needs no read of it.

        Only one at rest, which takes any run. If it has changed meanwhile, the commit of that run
        finds that out, and decides again.
        """
        record = thread.record
        if record.inflight_ids or len(record.encode()) > _MAX_REMEMBERED_BYTES:
            return
        self._at_rest[record.thread_id] = thread
        if len(self._at_rest) > _MAX_REMEMBERED:
            self._at_rest.popitem(last=False)

    async def choose(self, spec: RunSpec) -> Chosen:
        """Return the assistant that is asked for, unless it cannot do what is asked for.

        Raises:
            AssistantNotFoundError: There is none of this name or id.
            UnsupportedOptionError: An option is not available.
        """
        chosen = await self._assistants.choose(spec.assistant_id, user_id=spec.user_id)
        refuse_unavailable(chosen.filled(spec), chosen.assistant)
        return chosen

    async def check(self, spec: RunSpec) -> None:
        """Raise what :meth:`create` would raise at this moment; nothing is stored."""
        chosen = await self.choose(spec)
        thread = await self._thread_for(spec)
        self._check_place(spec, chosen, thread)
        record = new_record(chosen.filled(spec), chosen.assistant, new_id(), thread.record)
        transition(thread.record, self._command(record))

    async def create(self, spec: RunSpec, *, followed: bool = False) -> RunRecord:
        """Create a run; see :meth:`RunManager.create`."""
        chosen = await self.choose(spec)
        thread = self._recall(spec) or await self._thread_for(spec)
        if spec.idempotency_key is not None:
            return await self._create_once(spec, spec.idempotency_key, chosen, thread)
        self._check_place(spec, chosen, thread)
        record = new_record(chosen.filled(spec), chosen.assistant, new_id(), thread.record)
        await self._free_if_stale(thread.record)
        # Most refusals come here, before anything is stored.
        decided = transition(thread.record, self._command(record))
        async with self._reconciler.quotas.counted(record):
            if followed:
                self._bridge.expect_reader(_ref(record))
            stored = await self._announce(record)
            try:
                taken = await self._let_in(stored, thread, decided)
            except RunsError:  # a race was lost
                # Only here: once it is let in, a run whose ref is gone could never be born.
                await self._bridge.disclaim(_ref(record))
                raise
            await self._bring_up(stored, taken)
            return record

    async def _announce(self, record: RunRecord) -> Versioned[RunRecord]:
        """Store the record and, at the same time, whose the run is: neither needs the other."""
        claiming = asyncio.create_task(self._bridge.claim(_ref(record)))
        try:
            stored = await self._records.create_run(record)
        except BaseException:
            # What is refused for its form is refused before the claim has begun.
            claiming.cancel()
            await asyncio.gather(claiming, return_exceptions=True)
            raise
        try:
            await claiming
        except BridgeError:
            await self._withdraw(stored)
            raise
        return stored

    async def _create_once(
        self, spec: RunSpec, key: str, chosen: Chosen, thread: Versioned[ThreadRecord]
    ) -> RunRecord:
        for _ in range(_MAX_TRIES):
            proposed = RunRef(thread.record.thread_id, new_id())
            run = await self._keys.claim(spec, key, proposed)
            if run.thread_id != thread.record.thread_id:  # the temporary one of the first call
                found = await self._records.find_thread(run.thread_id)
                thread = found or Versioned(_temporary(spec, run.thread_id), 0)
            wrong = find_wrong_place(spec, chosen.assistant, thread.record)
            # The thread has a newer state once the first call's run has ended.
            if wrong is not None and await self._records.find_run(run.run_id) is None:
                raise wrong
            record = new_record(chosen.filled(spec), chosen.assistant, run.run_id, thread.record)
            try:
                stored = await self._records.create_run(record)
            except StateConflictError:
                earlier = await self._records.find_run(run.run_id)
                if earlier is None:
                    await self._keys.replace(spec, key, run, RunRef(run.thread_id, new_id()))
                    continue
                if await self._is_admitted(earlier.record):
                    await self._reconciler.repair(run.thread_id)
                    return earlier.record
                # Its creator died, or is refused at this moment. The new revision keeps it from
                # withdrawing the record under this call.
                touched = earlier.record.model_copy(update={"updated_at": now()})
                try:
                    stored = await self._records.update_run(touched, revision=earlier.revision)
                except StateConflictError:
                    continue
            return await self._admit_counted(stored, thread)
        raise ContentionError(f"idempotency key {key!r}", _MAX_TRIES)

    @staticmethod
    def _check_place(spec: RunSpec, chosen: Chosen, thread: Versioned[ThreadRecord]) -> None:
        wrong = find_wrong_place(spec, chosen.assistant, thread.record)
        if wrong is not None:
            raise wrong

    async def _is_admitted(self, record: RunRecord) -> bool:
        if record.status is not RunStatus.PENDING:
            return True
        run = _ref(record)
        thread = await self._records.find_thread(run.thread_id)
        if thread is not None and thread.record.has_inflight(run.run_id):
            return True
        return await self._reconciler.find_terminal(run) is not None

    def _recall(self, spec: RunSpec) -> Versioned[ThreadRecord] | None:
        thread = None if spec.thread_id is None else self._at_rest.pop(spec.thread_id, None)
        if thread is None or spec.user_id not in (None, thread.record.user_id):
            return None
        # What may be refused, or makes the thread anew, is decided by the newest record.
        is_plain = spec.if_not_exists == "reject" and not (spec.checkpoint_id or spec.checkpoint)
        return thread if is_plain else None

    async def _thread_for(self, spec: RunSpec) -> Versioned[ThreadRecord]:
        if spec.thread_id is None:
            return Versioned(_temporary(spec, new_id()), 0)
        found = await self._records.find_thread(check_id("thread_id", spec.thread_id))
        if found is not None:
            if spec.user_id not in (None, found.record.user_id):
                raise ThreadNotFoundError(spec.thread_id)
            return found
        if spec.if_not_exists == "reject":
            raise ThreadNotFoundError(spec.thread_id)
        return Versioned(new_thread(spec.thread_id, None, spec.user_id), 0)

    def _command(self, record: RunRecord) -> Admit:
        return Admit(
            run_id=record.run_id,
            executor=record.executor,
            strategy=record.multitask_strategy,
            max_queued=self._settings.max_queued_runs,
            at=record.created_at,
            user_id=record.user_id,
            due=record.due_at,
        )

    async def _free_if_stale(self, thread: ThreadRecord) -> None:
        active = thread.active
        if active is None or active.started:
            return
        if (now() - active.since).total_seconds() > self._settings.stale_s:
            # Its creator may have died before it queued the job.
            await self._reconciler.repair(thread.thread_id)

    async def _admit_counted(
        self, run: Versioned[RunRecord], thread: Versioned[ThreadRecord]
    ) -> RunRecord:
        try:
            async with self._reconciler.quotas.counted(run.record):
                await self._bring_up(run, await self._let_in(run, thread))
        except TooManyRunsError:
            await self._withdraw(run)
            raise
        return run.record

    async def _let_in(
        self,
        run: Versioned[RunRecord],
        thread: Versioned[ThreadRecord],
        decided: Step | None = None,
    ) -> Taken:
        command = self._command(run.record)
        try:
            return await self._steps.take(run.record.thread_id, command, thread, decided)
        except RunsError:
            await self._withdraw(run)
            raise

    async def _withdraw(self, run: Versioned[RunRecord]) -> None:
        # If it changed, somebody refers to it after all.
        with suppress(StateConflictError):
            await self._records.delete_run(run)

    async def _bring_up(self, run: Versioned[RunRecord], taken: Taken) -> None:
        try:
            await self._reconciler.apply(taken)
        except UnavailableError:
            raise  # what is left to do stands in the state
        except RunsError:
            # Of the runs that give way to this one, which has its log: that stands there, too.
            return
        except BridgeError as exc:
            fault = RunFault(error=type(exc).__name__, message=str(exc))
            outcome = Outcome(RunStatus.ERROR, error=fault)
            await self._steps.take(run.record.thread_id, Finish(run.record.run_id, outcome, now()))
            await self._withdraw(run)
            with suppress(BridgeError):  # what is left to do stands in the state
                await self._reconciler.repair(run.record.thread_id)
            raise


def _ref(record: RunRecord) -> RunRef:
    return RunRef(record.thread_id, record.run_id)


def _temporary(spec: RunSpec, thread_id: str) -> ThreadRecord:
    is_temporary = {"temporary": spec.on_completion == "delete"}
    return new_thread(thread_id, None, spec.user_id).model_copy(update=is_temporary)
