"""Execute one run: call its handler, watch for cancel wishes, end its log, release its thread.

Order at the end: final values, terminal event, record, thread, job. Whatever a crash cuts off is
done by whoever gets the job next, because the log decides the outcome.
"""

import asyncio
import logging
from contextlib import suppress
from enum import Enum

from bridge import (
    BridgeError,
    CheckpointFencedError,
    Job,
    Leases,
    RunBridge,
    RunRef,
    StreamFencedError,
    StreamTerminatedError,
    UnavailableError,
    new_event,
)
from runs.catalog import Assistant
from runs.claims import Claims
from runs.context import Outbox, RunContext
from runs.errors import InputTimeoutError, RunNotFoundError, RunNotStartableError, RunsError
from runs.executor import RunExecutor
from runs.inputs import Inputs
from runs.manager import RunManager
from runs.models import Outcome, RunFault, RunRecord, RunStatus
from runs.outcome import INTERRUPTED
from runs.reconciler import Known
from runs.settings import WorkerSettings
from runs.strays import keep_until_done

_LOG = logging.getLogger("jetrun.worker")


class Stop(Enum):
    """Why a handler is stopped before it has finished."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    TAKEN_OVER = "taken over"
    HANDED_BACK = "handed back"


class Execution:
    """One run in the hands of one worker.

    Args:
        job: What to do.
        run: The run that the job is about.
        assistant: What is executed, and what it may do.
        executor: The assistant's function or graph.
        bridge: Publishes the run's events.
        claims: Decides whether it may be executed, for this worker.
        manager: Settles it.
        leases: Holds on to the job meanwhile.
        settings: Grace and polling.

    Attributes:
        ended: How the run ended, once this execution has brought that about or found it done.
    """

    def __init__(  # noqa: PLR0913 - the collaborators of one run; made in one place
        self,
        job: Job,
        run: RunRef,
        assistant: Assistant,
        executor: RunExecutor,
        *,
        bridge: RunBridge,
        claims: Claims,
        manager: RunManager,
        leases: Leases,
        settings: WorkerSettings,
    ) -> None:
        self._job = job
        self._run = run
        self._assistant = assistant
        self._executor = executor
        self._bridge = bridge
        self._claims = claims
        self._manager = manager
        self._leases = leases
        self._settings = settings
        self.ended: RunStatus | None = None
        self._is_handed_back = False
        self._inputs: Inputs | None = None
        self._known: Known | None = None
        self._nudged = asyncio.Event()
        self._stop: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()

    def nudge(self) -> None:
        """Look at the thread's state now."""
        self._nudged.set()

    def adopt(self, job: Job) -> bool:
        """Go on under a newer delivery of the same job: its lease was lost, the run was not.

        Returns:
            Whether it was taken; a run that was handed back is not this worker's any more.
        """
        if self._is_handed_back:
            return False
        self._job = job
        self._leases.hold(job)
        return True

    def hand_back(self) -> None:
        """Stop the handler and give the job back, because this worker goes."""
        self._request(Stop.HANDED_BACK)

    def _request(self, stop: Stop) -> None:
        if not self._stop.done():
            self._stop.set_result(stop)

    async def run(self) -> None:
        """Execute the run, or drop the job when there is nothing to execute.

        Raises:
            BridgeError: The run could not be claimed or ended; the job comes again by itself.
            RunsError: Likewise.
        """
        self._leases.hold(self._job)
        try:
            known = await self._claims.claim(self._run)
            if known is None:
                await self._job.ack()
            else:
                self._leases.vouch(self._run.run_id)
                self._known = known
                await self._execute(known.run.record)
        except RunNotStartableError as exc:
            _LOG.info("run.held_elsewhere", extra={"why": str(exc)})
        except (CheckpointFencedError, StreamFencedError):
            _LOG.warning("run.fenced")
        finally:
            self._leases.release(self._run.run_id)

    async def _execute(self, record: RunRecord) -> None:
        outbox = Outbox(self._bridge, record.run_id, self._settings)
        inputs = self._inputs = self._inputs_of(record)
        context = RunContext(record, record.attempt, outbox, inputs.ask)
        given = record.kwargs.get("input")
        handling = asyncio.create_task(self._executor.execute(context, given))
        watching = asyncio.create_task(self._watch_state(record))
        timer = self._start_timer()
        try:
            await asyncio.wait((handling, self._stop), return_when=asyncio.FIRST_COMPLETED)
            if not handling.done():
                context.mark_cancelled()
                inputs.stop()
                await self._halt(handling)
            watching.cancel()
            await self._conclude(handling, context, outbox)
        finally:
            watching.cancel()
            if timer is not None:
                timer.cancel()
            if not self._stop.done():
                handling.cancel()
            await outbox.abandon()

    def _inputs_of(self, record: RunRecord) -> Inputs:
        wait_s = self._settings.input_wait_s
        return Inputs(self._bridge, self._manager, self._run, record.attempt, wait_s=wait_s)

    def _start_timer(self) -> asyncio.TimerHandle | None:
        if self._assistant.timeout_s is None:
            return None
        loop = asyncio.get_running_loop()
        return loop.call_later(self._assistant.timeout_s, self._request, Stop.TIMED_OUT)

    async def _halt(self, handling: asyncio.Task[None]) -> None:
        # Cancelled once: a second cancel would break the handler's own cleaning up.
        handling.cancel()
        await asyncio.wait((handling,), timeout=self._settings.cancel_grace_s)
        if not handling.done():
            _LOG.warning("run.ignores_cancel")
            keep_until_done(handling)

    async def _conclude(
        self, handling: asyncio.Task[None], context: RunContext, outbox: Outbox
    ) -> None:
        stop = self._stop.result() if self._stop.done() else None
        if stop is Stop.CANCELLED:
            await self._finish(INTERRUPTED, context)
        elif stop is Stop.TAKEN_OVER:
            _LOG.warning("run.taken_over")
        elif stop is None or _has_ended_by_itself(handling):
            await self._finish_by_itself(handling, context, outbox)
        else:
            with suppress(BridgeError):  # what could not be stored was never acknowledged
                await outbox.flush()
            await self._break_off(stop, context)

    async def _break_off(self, stop: Stop, context: RunContext) -> None:
        if stop is Stop.TIMED_OUT:
            text = f"the run took longer than {self._assistant.timeout_s:g} s"
            fault = RunFault(error="TimeoutError", message=text)
            await self._finish(Outcome(RunStatus.TIMEOUT, error=fault), context)
        elif self._assistant.may_restart:
            self._is_handed_back = True
            with suppress(RunsError, BridgeError):  # it then counts as lost
                await self._manager.release(self._run, context.attempt)
            self._leases.release(self._run.run_id)
            await self._job.nak()
        else:
            text = "its worker was stopped before the run had finished, and it may not be restarted"
            fault = RunFault(error="WorkerStopped", message=text)
            await self._finish(Outcome(RunStatus.ERROR, error=fault), context)

    async def _finish_by_itself(
        self, handling: asyncio.Task[None], context: RunContext, outbox: Outbox
    ) -> None:
        try:
            outcome = await _outcome_of(handling, context, outbox)
        except StreamTerminatedError:
            await self._settle()
            return
        await self._finish(outcome, context)

    async def _finish(self, outcome: Outcome, context: RunContext) -> None:
        told = outcome._replace(model_name=context.model_name, usage=context.usage)
        terminal_id = await self._manager.reconciler.seal(self._run, told)
        settled = await self._settle(terminal_id)
        # Somebody else may have sealed the log first, and differently.
        self.ended = outcome.status if settled is None else settled.status

    async def _settle(self, terminal_id: str | None = None) -> RunRecord | None:
        settled = None
        with suppress(RunNotFoundError):  # it is rolled back
            settled = await self._manager.reconciler.settle(self._run, terminal_id, self._known)
        await self._job.ack()
        return settled

    async def _watch_state(self, record: RunRecord) -> None:
        while not self._stop.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.state_poll_s):
                    await self._nudged.wait()
            self._nudged.clear()
            # During an outage the handler goes on; there is nothing to learn.
            with suppress(UnavailableError):
                await self._look_at_state(record)

    async def _look_at_state(self, record: RunRecord) -> None:
        found = await self._manager.records.find_thread(record.thread_id)
        active = None if found is None else found.record.find_active(record.run_id)
        if found is None or active is None or active.attempt != record.attempt:
            self._request(Stop.TAKEN_OVER)
        elif record.run_id in found.record.cancels:
            self._request(Stop.CANCELLED)
        elif active.answer is not None and self._inputs is not None:
            self._inputs.answered(active.answer)


async def _outcome_of(handling: asyncio.Task[None], context: RunContext, outbox: Outbox) -> Outcome:
    try:
        if handling.cancelled():
            fault = RunFault(error="CancelledError", message="the handler cancelled itself")
            return Outcome(RunStatus.ERROR, error=fault)
        handling.result()
        if not context.has_result:
            await outbox.flush()
            return Outcome(RunStatus.SUCCESS)
        return Outcome(
            RunStatus.SUCCESS,
            outputs=await _store_values(context, outbox),
            is_interrupted=context.is_interrupted,
        )
    except (
        CheckpointFencedError,
        StreamFencedError,
        StreamTerminatedError,
        RunNotStartableError,
    ):
        raise
    except InputTimeoutError as exc:
        fault = RunFault(error=type(exc).__name__, message=str(exc))
        return Outcome(RunStatus.TIMEOUT, error=fault)
    except Exception as exc:  # the border to user code, which may raise anything
        if isinstance(outbox.failure, StreamFencedError | StreamTerminatedError):
            raise outbox.failure from exc
        return Outcome(RunStatus.ERROR, error=RunFault(error=type(exc).__name__, message=str(exc)))


async def _store_values(context: RunContext, outbox: Outbox) -> str:
    if context.stored is None:
        return await outbox.store(new_event("values", context.values, category="outputs"))
    await outbox.flush()
    return await context.stored


def _has_ended_by_itself(handling: asyncio.Task[None]) -> bool:
    return handling.done() and not handling.cancelled()
