"""Pulls jobs and executes runs: ``python -m runs.worker``.

User code is imported here and nowhere else. Any number of workers share the jobs; killing one loses
nothing that was acknowledged.
"""

import asyncio
import logging
import os
import secrets
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from bridge import BridgeError, Job, JobConsumer, RunBridge, RunRef, logging_about
from runs.catalog import AssistantCatalog
from runs.claims import Claims
from runs.due_runs import DueRuns
from runs.errors import RunsError, UnreadableRecordError
from runs.execution import Execution
from runs.executors import Executors
from runs.held_runs import HeldRuns
from runs.manager import RunManager
from runs.models import Frozen
from runs.retirement import Retirement
from runs.settings import GraphSettings, RunSettings, WorkerSettings
from runs.sweeper import Sweeper
from runs.worker_metrics import WorkerFigures

_LOG = logging.getLogger("jetrun.worker")


#: Jobs that one request asks for at most.
_MAX_AHEAD: Final = 8
#: Jobs that come within this time have waited for a worker.
_AT_ONCE_S: Final = 0.01


class JobPayload(Frozen):
    """What stands beside a job."""

    thread_id: str


class Worker:
    """Pulls jobs for all assistants of a catalog and executes them, a bounded number at a time.

    Args:
        bridge: A started bridge of this worker alone.
        catalog: The assistants to serve; their functions are imported here.
        settings: Concurrency, lease, drain.
        run_settings: Limits of run control; the defaults when ``None``.
        graphs: What its graphs share; the defaults when ``None``.

    Attributes:
        name: How this worker is called in records and logs.
        figures: What came of its jobs.
    """

    def __init__(
        self,
        bridge: RunBridge,
        catalog: AssistantCatalog,
        settings: WorkerSettings,
        run_settings: RunSettings | None = None,
        graphs: GraphSettings | None = None,
    ) -> None:
        self._bridge = bridge
        self._settings = settings
        self._limits = run_settings or RunSettings()
        self._manager = RunManager(bridge, catalog, self._limits)
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._claims = Claims(bridge, self._manager, catalog, self.name, probe_s=settings.probe_s)
        self._leases = bridge.leases(
            every_s=settings.lease_s / 3, max_blocked_s=settings.max_blocked_s
        )
        self._catalog = catalog
        self._executors = Executors(catalog, graphs or GraphSettings())
        self._executions: dict[str, Execution] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._is_draining = False
        self.figures = WorkerFigures()

    async def serve(self, stop: asyncio.Event) -> None:
        """Execute runs until ``stop`` is set; then drain.

        Raises:
            BridgeError: The job queues could not be opened, or cannot be read any more.
        """
        self._report_load_failures()
        consumers = {
            name: await self._bridge.jobs.consumer(name, lease_s=self._settings.lease_s)
            for name in self._catalog.names
        }
        manager = self._manager
        sweeper = Sweeper(manager.records, manager.reconciler, stale_s=self._limits.stale_s)
        async with (
            self._executors.opened(self._bridge),
            self._leases.kept(),
            self._bridge.controls.listen(self._on_nudge),
            self._bridge.sweeping(HeldRuns(self._bridge, self._manager, self._limits)),
        ):
            pulling = [asyncio.create_task(self._pull(each)) for each in consumers.values()]
            pulling += [asyncio.create_task(each) for each in self._chores(sweeper)]
            stopping = asyncio.create_task(stop.wait())
            _LOG.info("worker.ready", extra={"worker": self.name})
            try:
                # These end by failing only; the process then drains and ends, too.
                await asyncio.wait((*pulling, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                # What is handed back from now on must not come back here.
                self._is_draining = True
                self._update_room()
                for each in (*pulling, stopping):
                    each.cancel()
                await asyncio.wait((*pulling, stopping))
                await asyncio.gather(*(each.close() for each in consumers.values()))
                await self._drain()
        for each in pulling:
            if not each.cancelled():
                each.result()

    def _report_load_failures(self) -> None:
        for name, failure in self._executors.failures.items():
            facts = {"assistant": name, "error": str(failure)}
            _LOG.error("assistant.not_loaded", extra=facts)

    def _on_nudge(self, run_id: str) -> None:
        execution = self._executions.get(run_id)
        if execution is not None:
            execution.nudge()

    def _chores(self, sweeper: Sweeper) -> Sequence[Coroutine[Any, Any, None]]:
        due = DueRuns(self._bridge.timers, self._manager)
        return self._retire(), sweeper.serve(), due.serve(self._settings.fetch_wait_s)

    async def _retire(self) -> None:
        manager = self._manager
        retirement = Retirement(self._bridge, manager.records, manager.deletion, self._limits)
        await retirement.serve(self._settings.fetch_wait_s)

    async def _pull(self, consumer: JobConsumer) -> None:
        # No job may wait here unattended: its lease would lapse, and another worker would take it
        # for lost. What comes without room goes back at once. More than one is asked for only while
        # jobs come without a wait: a worker that hangs must not be handed again what it holds.
        ahead = 1
        clock = asyncio.get_running_loop().time
        while True:
            await self._room.wait()
            asked_at = clock()
            free = self._settings.concurrency - len(self._executions)
            jobs = await consumer.fetch(min(ahead, free), wait_s=self._settings.fetch_wait_s)
            for job in jobs:
                await self._take(job)
            is_busy = jobs and clock() - asked_at < _AT_ONCE_S
            ahead = min(2 * ahead, _MAX_AHEAD) if is_busy else 1
            if not self._room.is_set():
                await consumer.decline_until(self._room)

    async def _take(self, job: Job) -> None:
        known = self._executions.get(job.run_id)
        if known is not None and known.adopt(job):
            self.figures.leases_lost += 1
            return
        if known is not None or not self._has_room:
            self.figures.given_back += 1
            await job.nak()
            return
        try:
            run = RunRef(JobPayload.decode(job.payload).thread_id, job.run_id)
        except UnreadableRecordError:
            # Not ours. A run that is waiting for its job gets another from a repair.
            _LOG.error("job.malformed", extra={"run_id": job.run_id})
            await job.ack()
        else:
            self._begin(job, run)

    @property
    def _has_room(self) -> bool:
        return not self._is_draining and len(self._executions) < self._settings.concurrency

    def _begin(self, job: Job, run: RunRef) -> None:
        execution = Execution(
            job,
            run,
            self._catalog.get(job.executor),
            self._executors.get(job.executor),
            bridge=self._bridge,
            claims=self._claims,
            manager=self._manager,
            leases=self._leases,
            settings=self._settings,
        )
        self._executions[run.run_id] = execution
        self.figures.taken += 1
        self.figures.repeated += job.deliveries > 1
        self._update_room()
        with logging_about(run_id=run.run_id, thread_id=run.thread_id):
            task = asyncio.create_task(self._attend(run.run_id, execution))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, run_id: str, execution: Execution) -> None:
        try:
            await execution.run()
        except (BridgeError, RunsError) as exc:
            _LOG.warning("run.left", extra={"error": f"{type(exc).__name__}: {exc}"})
            self.figures.left += 1
        except Exception:  # noqa: BLE001 - one run's trouble must not end the process; its job comes again
            _LOG.exception("run.failed")
            self.figures.left += 1
        finally:
            del self._executions[run_id]
            if execution.ended is not None:
                self.figures.ended[execution.ended] += 1
                _LOG.info("run.ended", extra={"status": execution.ended.value})
            self._update_room()

    def _update_room(self) -> None:
        self.figures.in_hand = len(self._executions)
        if self._has_room:
            self._room.set()
        else:
            self._room.clear()

    async def _drain(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.drain_s)
        for execution in self._executions.values():
            execution.hand_back()
        if self._tasks:
            # Beyond the handlers' grace only a server that is away can hold a run.
            await asyncio.wait(self._tasks, timeout=self._settings.cancel_grace_s + 1)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)


if __name__ == "__main__":
    # The process around the worker needs the worker, so it is imported here alone.
    from runs.process import main

    main()
