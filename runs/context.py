"""What an assistant's function gets to know and to do: the run it executes.

Events are stored in the order in which they are emitted. A bounded number of them may be on their
way to the log at one time; what was lost on the way surfaces at the next call, and nothing is
reported as a success before everything emitted is stored.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from bridge import NewEvent, StreamBridge, encoded_event, new_event
from runs.event_rate import EventRate
from runs.models import RunRecord, TokenUsage
from runs.settings import WorkerSettings

#: An event that is on its way to the log; its result is the event's id.
Emitted: TypeAlias = asyncio.Task[str]


class Outbox:
    """The events of one run that were emitted and are not acknowledged yet; bounded."""

    def __init__(self, bridge: StreamBridge, run_id: str, settings: WorkerSettings) -> None:
        self._bridge = bridge
        self._run_id = run_id
        self._max_events = settings.max_unacknowledged_events
        self._max_bytes = settings.max_unacknowledged_bytes
        self._rate = EventRate(settings.max_events_per_s)
        self._flying: deque[tuple[Emitted, int]] = deque()
        self._bytes = 0
        self.failure: Exception | None = None

    async def put(self, event: NewEvent) -> Emitted:
        """Send ``event`` on its way; wait while too much is under way, or came within a second.

        Raises:
            BridgeError: This event or an earlier one could not be stored.
        """
        if (delay_s := self._rate.take()) > 0:
            await asyncio.sleep(delay_s)
        self._reap()
        self._raise_failure()
        was_idle = not self._flying
        size = len(event.payload)
        publishing = asyncio.create_task(self._bridge.publish_event(self._run_id, event))
        self._flying.append((publishing, size))
        self._bytes += size
        if was_idle:
            # Let a lone event leave now: the handler may compute for long before it waits.
            await asyncio.sleep(0)
        while len(self._flying) >= self._max_events or self._bytes > self._max_bytes:
            await asyncio.wait([self._flying[0][0]])
            self._reap()
        self._raise_failure()
        return publishing

    async def store(self, event: NewEvent) -> str:
        """Store ``event`` behind everything else, and wait until all of it is stored.

        Returns:
            The event's id.

        Raises:
            BridgeError: Some event could not be stored.
        """
        self._raise_failure()
        publishing = asyncio.create_task(self._bridge.publish_event(self._run_id, event))
        self._flying.append((publishing, 0))
        await self.flush()
        return publishing.result()

    async def flush(self) -> None:
        """Wait until everything is stored.

        Raises:
            BridgeError: Some event could not be stored.
        """
        while self._flying:
            await asyncio.wait([publishing for publishing, _ in self._flying])
            self._reap()
        self._raise_failure()

    async def abandon(self) -> None:
        """Stop caring; what is on its way may or may not be stored."""
        publishing = [task for task, _ in self._flying]
        for task in publishing:
            task.cancel()
        if publishing:
            await asyncio.wait(publishing)
        self._reap()

    def _reap(self) -> None:
        while self._flying and self._flying[0][0].done():
            task, size = self._flying.popleft()
            self._bytes -= size
            failure = None if task.cancelled() else task.exception()
            if isinstance(failure, Exception) and self.failure is None:
                self.failure = failure

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure


#: Shows a prompt to the user of a run, and returns the answer.
Ask: TypeAlias = Callable[[Any], Awaitable[Any]]


class RunContext:
    """The run that a handler executes.

    Attributes:
        run_id: The run.
        thread_id: The thread that owns it.
        config: The run's configuration, as its creator gave it.
        context: The run's static context, likewise.
        metadata: The run's metadata, likewise.
        attempt: 1 for the first execution; higher after a worker was lost.
        record: The run as its creator asked for it.
        values: The final values, once they are set.
        stored: The event that carries them, where there is one already.
        is_interrupted: Whether the run ends because it waits for an answer.
        model_name: The model that was called last, where it told its name.
        usage: The tokens that were counted.
    """

    def __init__(
        self, record: RunRecord, attempt: int, outbox: Outbox, ask: Ask | None = None
    ) -> None:
        self.record = record
        self.run_id = record.run_id
        self.thread_id = record.thread_id
        self.config: dict[str, Any] = record.kwargs.get("config") or {}
        self.context: dict[str, Any] = record.kwargs.get("context") or {}
        self.metadata = record.metadata
        self.attempt = attempt
        self.values: Any = None
        self.has_result = False
        self.stored: Emitted | None = None
        self.is_interrupted = False
        self.model_name: str | None = None
        self.usage: TokenUsage | None = None
        self._outbox = outbox
        self._ask = ask
        self._is_cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants the run to stop; the handler is being cancelled then."""
        return self._is_cancelled

    async def emit(
        self,
        event: str,
        data: Any,
        *,
        category: str = "stream",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one event to the run, in order.

        It returns before the event is stored, unless too much is on its way or the run emits more
        in a second than it may; a failure surfaces at a later call or at the end of the run, which
        is then an error.

        Args:
            event: The name that clients dispatch on.
            data: Any JSON value; it is serialised at once.
            category: What kind of event it is, for consumers that filter.
            metadata: A JSON object beside the data, not sent over SSE.

        Raises:
            InvalidEventError: The event cannot be stored.
            BridgeError: An earlier event could not be stored; stop working.
        """
        encoded = new_event(event, data, category=category, metadata=metadata)
        await self._outbox.put(encoded)

    async def emit_encoded(
        self, event: str, payload: bytes, *, category: str = "stream"
    ) -> Emitted:
        """Append one event whose data is strict JSON already; see :meth:`emit`.

        Returns:
            The event on its way.

        Raises:
            InvalidEventError: Its name cannot be stored.
            BridgeError: An earlier event could not be stored; stop working.
        """
        return await self._outbox.put(encoded_event(event, payload, category=category))

    async def flush(self) -> None:
        """Wait until everything that was emitted is stored.

        Raises:
            BridgeError: Some event could not be stored; stop working.
        """
        await self._outbox.flush()

    async def wait_for_input(self, prompt: Any) -> Any:
        """Ask the run's user something and return the answer, however long that takes.

        Clients are shown ``prompt`` once everything emitted before is stored. Whoever starts a run
        on the thread with ``command: {"resume": answer}`` lets this run go on. A run that is
        started without one stops it.

        Args:
            prompt: Any JSON value.

        Raises:
            InputTimeoutError: Nobody answered within ``input_wait_s``.
            InputTooLargeError: ``prompt`` exceeds ``max_input_bytes``; nothing was asked.
            InvalidContentError: ``prompt`` is not JSON; nothing was asked.
            BridgeError: An earlier event could not be stored; stop working.
        """
        if self._ask is None:
            raise RuntimeError("this run has no user who could be asked")
        await self._outbox.flush()
        return await self._ask(prompt)

    def result(self, values: Any) -> None:
        """Set the final values of the run: any JSON value; the last call counts."""
        self.values = values
        self.has_result = True

    def result_is(self, emitted: Emitted) -> None:
        """Make an event that is on its way the final values of the run."""
        self.stored = emitted
        self.has_result = True

    def mark_interrupted(self) -> None:
        """Say that the run ends because it waits for an answer; called by executors."""
        self.is_interrupted = True

    def uses(self, model_name: str | None, usage: TokenUsage | None) -> None:
        """Note what models the run has called, and at what cost; called by executors."""
        self.model_name = model_name
        self.usage = usage

    def mark_cancelled(self) -> None:
        """Make :attr:`cancelled` true; called by the worker."""
        self._is_cancelled = True
