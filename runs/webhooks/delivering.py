"""Call the webhooks that stand in line, as one of any number of processes.

A call is counted before it is made and its fate is stored after it, so a crash costs one attempt
and may repeat a call: receivers get each run at least once, up to the bound of attempts. A call
that fails goes back into the line with a delay; that survives restarts.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from bridge import BridgeError, Job, RunBridge, RunRef, StateConflictError, StreamNotFoundError
from runs.errors import RunNotFoundError, RunsError
from runs.manager import RunManager
from runs.models import RunRecord
from runs.webhooks.announcing import LINE, Webhooks
from runs.webhooks.record import WebhookRecord
from runs.webhooks.sending import DeliverySettings, Notice, WebhookSender, WebhookSendError

_LOG = logging.getLogger("jetrun.webhooks")

_FETCH_WAIT_S: Final = 5.0
_RETRY_S: Final = 5.0
#: To give calls back; after that their leases lapse.
_STOP_S: Final = 5.0


class WebhookDeliveries:
    """Makes the calls.

    Args:
        bridge: A started bridge; one that reads the archive finds values that left the log.
        manager: Makes runs final before anybody is told.
        sender: Speaks HTTP.
        settings: How often, how long.
    """

    def __init__(
        self,
        bridge: RunBridge,
        manager: RunManager,
        sender: WebhookSender,
        settings: DeliverySettings,
    ) -> None:
        self._bridge = bridge
        self._manager = manager
        self._webhooks = Webhooks(bridge)
        self._sender = sender
        self._settings = settings
        self._room = asyncio.Semaphore(settings.max_concurrent)
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Call for the length of a context; what is under way at its end is given back."""
        serving = asyncio.create_task(self._serve(), name="webhooks")
        try:
            yield
        finally:
            pending = (serving, *self._tasks)
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=_STOP_S)

    async def _serve(self) -> None:
        while True:
            try:
                await self._pull()
            except BridgeError as exc:
                # The process has other things to do, and its calls wait where they are.
                _LOG.error("webhooks.not_called", extra={"error": str(exc)})
                await asyncio.sleep(_RETRY_S)

    async def _pull(self) -> None:
        consumer = await self._bridge.jobs.consumer(LINE, lease_s=self._settings.lease_s)
        try:
            while True:
                # None is taken without room for it: a lease would lapse here unattended.
                async with self._room:
                    jobs = await consumer.fetch(1, wait_s=_FETCH_WAIT_S)
                for job in jobs:
                    await self._room.acquire()
                    self._begin(job)
        finally:
            await consumer.close()

    def _begin(self, job: Job) -> None:
        task = asyncio.create_task(self._attend(job))
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    async def _attend(self, job: Job) -> None:
        try:
            delay_s = await self._deliver(job.run_id)
        except (BridgeError, RunsError) as exc:
            facts = {"run_id": job.run_id, "error": f"{type(exc).__name__}: {exc}"}
            _LOG.warning("webhook.left", extra=facts)
            delay_s = _RETRY_S
        except asyncio.CancelledError:
            await job.nak()
            raise
        except Exception as exc:  # noqa: BLE001 - one call's trouble must not end the others
            # Its job comes again, and its attempt counts. A traceback could show the address.
            facts = {"run_id": job.run_id, "error": type(exc).__name__}
            _LOG.error("webhook.broken", extra=facts)
            return
        if delay_s is None:
            await job.ack()
        else:
            await job.nak(delay_s)

    async def _deliver(self, run_id: str) -> float | None:
        """Make one call; return the pause before the next one, ``None`` when there is none."""
        found = await self._webhooks.find_open(run_id)
        if found is None or found[0].run is None:
            return None
        record, revision = found
        if record.attempts >= self._settings.max_attempts:  # the last call was cut off by a crash
            await self._close(record.failed(record.error), revision)
            return None
        record = record.begun()
        try:
            revision = await self._webhooks.update(record, revision)
        except StateConflictError:
            return self._settings.lease_s  # somebody else is about to call
        try:
            await self._call(record)
        except WebhookSendError as exc:
            return await self._go_on(record, revision, exc)
        await self._close(record.delivered(), revision)
        return None

    async def _call(self, record: WebhookRecord) -> None:
        assert record.run is not None  # noqa: S101 - it is open
        assert record.run.webhook is not None  # noqa: S101 - it was announced
        run = RunRef(record.thread_id, record.run_id)
        with suppress(RunNotFoundError):  # it is deleted, or rolled back
            await self._manager.settle(run)
        values, is_lost = await self._values_of(record.run)
        notice = Notice(record.run, values, is_lost, record.attempts)
        await self._sender.send(record.run.webhook, notice)

    async def _values_of(self, run: RunRecord) -> tuple[Any, bool]:
        if run.outputs is None:
            return None, False
        with suppress(StreamNotFoundError):
            event = await self._bridge.find_event(run.run_id, run.outputs)
            if event is not None:
                return event.data, False
        return None, True

    async def _go_on(
        self, record: WebhookRecord, revision: int, failure: WebhookSendError
    ) -> float | None:
        error, attempts = str(failure), record.attempts
        facts = {"run_id": record.run_id, "attempt": attempts, "error": error}
        if failure.is_final or attempts >= self._settings.max_attempts:
            _LOG.error("webhook.failed", extra=facts)
            await self._close(record.failed(error), revision)
            return None
        _LOG.warning("webhook.repeated", extra=facts)
        await self._store(record.met(error), revision)
        pause_s = self._settings.backoff_s * 2.0 ** (attempts - 1)
        # Not all at the same moment, when a receiver comes back.
        spread = random.uniform(0.8, 1.2)  # noqa: S311 - spreads load
        return min(pause_s, self._settings.max_backoff_s) * spread

    async def _close(self, record: WebhookRecord, revision: int) -> None:
        await self._store(record, revision)
        if await self._manager.records.find_run(record.run_id) is None:
            await self._webhooks.forget_closed(record.run_id)

    async def _store(self, record: WebhookRecord, revision: int) -> None:
        # Who was slower than the lease has been overtaken; what the other says counts.
        with suppress(StateConflictError):
            await self._webhooks.update(record, revision)
