"""Wait for a run: until it has ended and everything agrees with that, or until it asks its user."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import Final, NamedTuple

from bridge import (
    END,
    BridgeClosedError,
    Following,
    RunBridge,
    RunRef,
    StreamEvent,
    StreamNotFoundError,
)
from runs.errors import RunNotFoundError
from runs.inputs import find_shown
from runs.manager import RunManager
from runs.models import Result, RunRecord, RunStatus
from runs.records import Versioned
from runs.sealing import wait_for_seal
from runs.thread import Question, ThreadRecord

_FIRST_PAUSE_S: Final = 0.001
_MAX_PAUSE_S: Final = 0.05
_VALUES: Final = "values"


class Pause(NamedTuple):
    """Where a run stands that does not go on by itself.

    Attributes:
        question: What it asks; ``None`` when its log is sealed.
        values: The newest event ``values`` that was seen on the way.
    """

    question: Question | None
    values: StreamEvent | None


class RunWaits:
    """Waits for runs, whoever executes them.

    Args:
        manager: Knows records and threads.
        bridge: Follows the logs.
    """

    def __init__(self, manager: RunManager, bridge: RunBridge) -> None:
        self._manager = manager
        self._bridge = bridge

    @asynccontextmanager
    async def following(
        self, run: RunRef, *, last_event_id: str | None
    ) -> AsyncGenerator[Following]:
        """Open a run for reading; one whose creator died before its birth is given its log first.

        Raises:
            StreamNotFoundError: The run is deleted, or there is none.
            UnavailableError: The server fell silent; call again.
        """
        opening = partial(self._bridge.follow, run.run_id, last_event_id=last_event_id)
        async with AsyncExitStack() as stack:
            try:
                opened = await stack.enter_async_context(opening())
            except StreamNotFoundError:
                await self._manager.reconciler.repair(run.thread_id)
                opened = await stack.enter_async_context(opening())
            yield opened

    async def pause(self, run: RunRef, *, has_begun: bool) -> Pause:
        """Return once the log is sealed, or the run asks something.

        Args:
            run: The run.
            has_begun: Whether it may have asked, or emitted much, already.

        Raises:
            StreamNotFoundError: The run is deleted.
            BridgeClosedError: This process is shutting down.
            UnavailableError: The server fell silent; call again.
        """
        newest: str | None = None
        if has_begun:
            newest = (await self._bridge.status(run.run_id)).last_id
            if question := await self.find_question(run):
                return Pause(question, None)
        values: StreamEvent | None = None
        async with (
            self.following(run, last_event_id=newest) as following,
            aclosing(following.batches()) as batches,
        ):
            async for batch in batches:
                for item in batch:
                    if isinstance(item, StreamEvent) and item.event == _VALUES:
                        values = item
                if batch[-1] is END:
                    return Pause(None, values)
                if find_shown(batch) and (question := await self.find_question(run)):
                    return Pause(question, values)
        raise BridgeClosedError

    async def find_question(self, run: RunRef) -> Question | None:
        """Return what a run asks its user and waits for; ``None`` when it does not wait."""
        found = await self._manager.records.find_thread(run.thread_id)
        if found is None or found.record.find_active(run.run_id) is None:
            return None
        return found.record.question

    async def end(self, run: RunRef) -> RunRecord:
        """Return the final record once the run has ended.

        Raises:
            RunNotFoundError: It is rolled back, or there is none.
            BridgeError: As for :meth:`pause`.
        """
        try:
            await wait_for_seal(self._bridge, run.run_id)
        except StreamNotFoundError:
            await self._manager.reconciler.repair(run.thread_id)
            await wait_for_seal(self._bridge, run.run_id)
        return await self._manager.settle(run)

    async def settled(self, run: RunRef, *, within_s: float) -> Result:
        """Return how the run ended, once its record and its thread say so.

        Whoever executed the run writes both right after it has sealed the log, the thread last;
        only when that does not happen, because it died in between, they are written here.

        Args:
            run: The run; its log is sealed.
            within_s: Seconds that are left to the run's worker.

        Raises:
            RunNotFoundError: It is rolled back, or deleted.
            UnavailableError: The server fell silent; the end must not be shown.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        pause_s = _FIRST_PAUSE_S
        while loop.time() < deadline:
            # The worker is one step ahead: what is asked at once is asked again.
            await asyncio.sleep(pause_s)
            thread = await self._manager.records.find_thread(run.thread_id)
            if thread is None or not thread.record.has_inflight(run.run_id):
                if thread is not None:
                    self._manager.expect_run(thread)
                return await self._result_of(run, thread)
            pause_s = min(pause_s * 2, _MAX_PAUSE_S)
        return (await self._manager.settle(run)).result

    async def _result_of(self, run: RunRef, thread: Versioned[ThreadRecord] | None) -> Result:
        """Return how a run ended that its thread has let go."""
        outputs = None if thread is None else thread.record.outputs
        if outputs is not None and outputs.run_id == run.run_id:
            return Result(RunStatus.SUCCESS, outputs.event_id)
        found = await self._manager.records.find_run(run.run_id)
        if found is None:
            raise RunNotFoundError(run.run_id)
        if found.record.status.is_final:
            return found.record.result
        return (await self._manager.settle(run)).result
