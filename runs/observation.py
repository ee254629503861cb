"""Tell an observer what becomes of all runs, from a position that is kept by name.

The observation reads the changes of the stored records, so it hears of every run, whichever
process created, executed or ended it, and no run waits for it. Each run is told at least once: its
messages, its start, its end, in this order; after a restart some of it may come again. Steps that
follow each other between two looks are told together. What is removed before a look is not told.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from enum import IntEnum
from typing import Any, Final

from bridge import BridgeError, RunBridge, StateConflictError, check_id
from runs.errors import RunsError
from runs.models import Frozen, RunRecord, RunStatus
from runs.observers import RunObserver
from runs.records import Records
from runs.thread import ThreadRecord, ThreadStatus

_LOG = logging.getLogger("jetrun.observers")

#: The kind of record.
OBSERVER: Final = "observer"
_MAX_KNOWN: Final = 10_000
_HUMAN: Final = frozenset({"human", "user"})


class ObserverPosition(Frozen):
    """The revisions up to which an observer was told."""

    runs: int
    threads: int


_NOWHERE: Final = ObserverPosition(runs=0, threads=0)


class _Told(IntEnum):
    """How much of a run was told."""

    NOTHING = 0
    MESSAGES = 1
    START = 2
    END = 3


class RunObservation:
    """Reads what changes and tells it, one thing after the other.

    Args:
        bridge: A started bridge.
        observer: Is told.
        name: Keeps the position, one subject token. A new name hears what comes from now on; one
            process at a time should have it, because each that has it is told everything.
        poll_s: Seconds between two looks.
        timeout_s: Seconds that one call of the observer may take.

    Attributes:
        failures: How many calls have failed or took too long.
    """

    def __init__(
        self,
        bridge: RunBridge,
        observer: RunObserver,
        name: str,
        *,
        poll_s: float = 0.5,
        timeout_s: float = 5.0,
    ) -> None:
        self._states = bridge.states
        self._records = Records(bridge)
        self._observer = observer
        self._name = check_id("observer", name)
        self._poll_s = poll_s
        self._timeout_s = timeout_s
        self._known_runs: OrderedDict[str, _Told] = OrderedDict()
        self._known_threads: OrderedDict[str, ThreadStatus] = OrderedDict()
        self._position = self._noted = _NOWHERE
        self._revision = 0
        self.failures = 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Tell the observer for the length of a context; on leaving, a call under way is cut.

        Raises:
            BridgeError: The position could not be read.
        """
        await self._find_position()
        telling = asyncio.create_task(self._tell_for_ever(), name=f"observer {self._name}")
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait((telling,), timeout=self._timeout_s)
            if self._noted != self._position:  # what was told need not be told again
                with suppress(BridgeError):
                    await self._note(self._position)
        if telling.done() and not telling.cancelled():
            telling.result()

    async def _find_position(self) -> None:
        with suppress(StateConflictError):  # the name was used before
            await self._states.create(OBSERVER, self._name, _NOWHERE.encode())
        found = await self._states.find(OBSERVER, self._name)
        assert found is not None  # noqa: S101 - nothing removes it
        position, self._revision = ObserverPosition.decode(found.value), found.revision
        # Revisions count all changes, so that of a new name's record is where news begins.
        here = ObserverPosition(runs=found.revision, threads=found.revision)
        self._position = self._noted = here if position == _NOWHERE else position

    async def _tell_for_ever(self) -> None:
        while True:
            try:
                await self._tell_news()
            except (BridgeError, RunsError) as exc:
                # What was told and not noted is told again.
                _LOG.warning("observer.waits", extra={"observer": self._name, "error": str(exc)})
            await asyncio.sleep(self._poll_s)

    async def _tell_news(self) -> None:
        before = self._position
        runs, runs_reached = await self._records.changed_runs(after=before.runs)
        for run in runs:
            await self._tell_run(run.record)
        threads, threads_reached = await self._records.changed_threads(after=before.threads)
        for thread in threads:
            await self._tell_thread(thread.record)
        reached = ObserverPosition(runs=runs_reached, threads=threads_reached)
        if reached != before:
            self._position = reached
            await self._note(reached)

    async def _note(self, reached: ObserverPosition) -> None:
        try:
            self._revision = await self._states.update(
                OBSERVER, self._name, reached.encode(), revision=self._revision
            )
        except StateConflictError:
            # Another process has the name as well. Both go on; who notes last is found later.
            found = await self._states.find(OBSERVER, self._name)
            self._revision = self._revision if found is None else found.revision
        self._noted = reached

    async def _tell_run(self, run: RunRecord) -> None:
        told = self._known_runs.get(run.run_id, _Told.NOTHING)
        if told < _Told.MESSAGES:
            for message in _messages_of(run):
                await self._call(self._observer.human_message, run, message)
        if told < _Told.START and run.started_at is not None:
            await self._call(self._observer.started, run)
        if told < _Told.END and run.status.is_final:
            await self._tell_end(run)
        _remember(self._known_runs, run.run_id, max(told, _told_by(run)))

    async def _tell_end(self, run: RunRecord) -> None:
        if run.status is RunStatus.SUCCESS:
            await self._call(self._observer.completed, run)
        elif run.status is RunStatus.INTERRUPTED:
            await self._call(self._observer.cancelled, run)
        else:
            await self._call(self._observer.failed, run)

    async def _tell_thread(self, thread: ThreadRecord) -> None:
        if thread.deleting or self._known_threads.get(thread.thread_id) is thread.status:
            return
        await self._call(self._observer.thread_status, thread)
        _remember(self._known_threads, thread.thread_id, thread.status)

    async def _call(self, method: Callable[..., Awaitable[None]], *told: object) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await method(*told)
        except Exception as exc:  # noqa: BLE001 - the border to user code; others are to be told
            self.failures += 1
            facts = {"observer": self._name, "call": method.__name__, "error": type(exc).__name__}
            _LOG.warning("observer.failed", extra=facts)


def _told_by(run: RunRecord) -> _Told:
    if run.status.is_final:
        return _Told.END
    return _Told.MESSAGES if run.started_at is None else _Told.START


def _remember(known: OrderedDict[str, Any], key: str, value: object) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _MAX_KNOWN:
        known.popitem(last=False)


def _messages_of(run: RunRecord) -> Iterator[Mapping[str, Any]]:
    """Yield what people say in the input, as chat assistants take it: ``{"messages": [...]}``."""
    given = run.kwargs.get("input")
    messages = given.get("messages") if isinstance(given, Mapping) else None
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, Mapping) and _HUMAN & {message.get("type"), message.get("role")}:
            yield message
