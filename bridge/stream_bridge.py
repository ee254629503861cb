"""The contract of the event log: what every bridge promises to publishers and readers.

An acknowledged event is delivered once, in order, to every reader, or counted in a gap. A run has
exactly one terminal event and it is the last. Asking never creates anything.
"""

import asyncio
from abc import abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

from bridge.consuming import Consuming
from bridge.events import (
    Batch,
    NewEvent,
    ResumeResult,
    StreamEvent,
    StreamInfo,
    StreamItem,
    Terminal,
    new_event,
)
from bridge.ids import check_id
from bridge.stats import StreamStats

HEARTBEAT_S: Final = 5.0


#: Takes events at once, without waiting; returns whether it did: all of them, or none.
Push: TypeAlias = Callable[[Sequence[StreamEvent]], bool]


class Following(Protocol):
    """One reader of one run. It keeps nothing that outlives its context."""

    @property
    def resume(self) -> ResumeResult:
        """What became of the cursor."""

    def tap(self, push: Push) -> None:
        """Let the bridge hand live events over at once, while :meth:`batches` waits.

        Saves the switch to the reader's task, which is most of what a delivery to many readers
        costs. What came at one time comes in one call, as the same sequence for all readers that
        are as far as each other. An event goes to ``push`` or into a batch, never to both, and the
        order stays. Terminal events, gaps and whatever ``push`` does not take come in batches. A
        bridge may leave it alone and put everything into batches.

        Args:
            push: Takes events without waiting, or returns False; it must not raise.
        """

    def batches(self) -> AsyncGenerator[Batch]:
        """Yield what is waiting, in order, in lists of at least one item.

        Whoever stops before the end closes it; left alone, a task is made to do that.

        A list ends with ``END`` after the terminal event, and with ``CANCELLED`` when the bridge
        closes; the iteration is over then. ``HEARTBEAT`` comes alone, when there was no batch for
        long.
        """


class StreamBridge(Consuming):
    """Publishes the events of runs and lets any number of readers follow them.

    Use it as an async context manager, or call :meth:`start` and :meth:`close`.
    """

    @abstractmethod
    async def start(self) -> None:
        """Open the bridge; every other call raises BridgeClosedError before."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what is in flight within a bounded time, send readers ``CANCELLED``, and close."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @abstractmethod
    async def create(self, run_id: str, *, thread_id: str) -> str:
        """Bring a run's stream into being with its birth event ``metadata``; idempotent.

        Returns:
            The id of the birth event.

        Raises:
            InvalidIdError: An id is not one subject token; nothing was stored.
            ConflictError: The run exists under another thread; nothing was stored.
            StreamTerminatedError: The run was deleted; it cannot come back.
            StreamCapacityExceededError: The log has no room; nothing was stored.
            UnavailableError: The server fell silent; call again, the call is idempotent.
        """

    @abstractmethod
    async def begin_attempt(self, run_id: str, attempt: int) -> str:
        """Append ``metadata`` with the attempt's number, and fence off earlier attempts.

        From here on this bridge publishes as that attempt: it stops with StreamFencedError once a
        later one has begun. Attempt 1 appends nothing; the birth event carries it.

        Returns:
            The id of the attempt's ``metadata`` event.

        Raises:
            StreamNotFoundError: Nobody created the run.
            StreamTerminatedError: The run has ended.
            StreamFencedError: This attempt or a later one has begun elsewhere.
            UnavailableError: The server fell silent.
        """

    @abstractmethod
    async def publish_event(self, run_id: str, event: NewEvent) -> str:
        """Append one encoded event; see :meth:`publish`."""

    def publish(
        self,
        run_id: str,
        event: str,
        data: Any,
        *,
        category: str = "stream",
        metadata: Mapping[str, Any] | None = None,
        event_id: str | None = None,
    ) -> Coroutine[Any, Any, str]:
        """Append one event durably; await what the call returns.

        What cannot be encoded is refused by the call itself, not by the await.

        Args:
            run_id: The run.
            event: The name that clients dispatch on; terminal and control names are reserved.
            data: Any JSON value; it is serialised at once.
            category: What kind of event it is, for consumers that filter.
            metadata: A JSON object beside the data, not sent over SSE.
            event_id: The caller's own id for idempotent repeats within 120 s.

        Returns:
            The event's id, once the server has stored it.

        Raises:
            InvalidEventError: Name, data or metadata cannot be stored; nothing was stored.
            EventTooLargeError: Above the server's limit; nothing was stored.
            StreamNotFoundError: Nobody created the run.
            StreamTerminatedError: The run has ended; nothing was stored.
            StreamFencedError: A later attempt writes now; stop working.
            StreamCapacityExceededError: The log is full; try again later.
            UnavailableError: The server fell silent; ``stored`` says what is known.
            BridgeClosedError: The bridge is not open.
        """
        encoded = new_event(event, data, category=category, metadata=metadata, event_id=event_id)
        return self.publish_event(run_id, encoded)

    @abstractmethod
    async def publish_many(self, run_id: str, events: Iterable[NewEvent]) -> list[str]:
        """Append all of ``events`` in order, or none.

        Args:
            run_id: The run.
            events: At most 1000, made by :func:`bridge.new_event`, without ``event_id``.

        Returns:
            Their ids, in order.

        Raises:
            BatchTooLargeError: More than 1000; nothing was stored.
            InvalidEventError: One carries an ``event_id``; nothing was stored.
            BridgeError: As for :meth:`publish`.
        """

    @abstractmethod
    async def publish_terminal(self, run_id: str, kind: Terminal | str, data: Any = None) -> str:
        """End the run for good. The first terminal wins, whoever races.

        Returns:
            The id of the run's terminal event: this one, or the one that came first; ``status``
            tells which.

        Raises:
            ValueError: ``kind`` is no terminal.
            StreamNotFoundError: Nobody created the run.
            StreamTerminatedError: The run was deleted.
            UnavailableError: The server fell silent; call again, the call is idempotent.
        """

    async def publish_end(self, run_id: str) -> str:
        """End the run as finished; see :meth:`publish_terminal`."""
        return await self.publish_terminal(run_id, Terminal.ENDED)

    async def cancel(self, run_id: str) -> str:
        """End the run as cancelled; see :meth:`publish_terminal`."""
        return await self.publish_terminal(run_id, Terminal.CANCELLED)

    @abstractmethod
    async def status(self, run_id: str) -> StreamInfo:
        """Read the state of a run's stream.

        Raises:
            StreamNotFoundError: Nobody created the run, or it was deleted.
            UnavailableError: The server fell silent.
        """

    @abstractmethod
    async def mark_awaiting_input(self, run_id: str) -> None:
        """Say that a run waits for its user, who may be silent longer than a worker.

        The mark goes with the next event. On a run that nobody created, that was deleted or that
        has ended, the call changes nothing.

        Raises:
            UnavailableError: The server fell silent; call again.
        """

    async def cleanup(self, run_id: str, *, delay: float = 0) -> None:
        """Forget a run's events for good; a later publish or create cannot bring it back.

        Readers under way get what was there and then ``END``. Where an archive is written, the
        run's file is erased. Cleaning up twice changes nothing.

        Args:
            run_id: The run, live or ended.
            delay: Seconds that the call waits before; cancelling it until then keeps the run.

        Raises:
            StreamNotFoundError: Nobody created the run.
            UnavailableError: The server fell silent; call again, the call is idempotent.
            BridgeClosedError: The bridge is not open, or was closed during the delay.
        """
        check_id("run_id", run_id)
        if delay > 0:
            await asyncio.sleep(delay)
        await self._delete(run_id)

    @abstractmethod
    async def _delete(self, run_id: str) -> None:
        """Forget a run's events now; see :meth:`cleanup`."""

    @abstractmethod
    async def get_stats(self) -> StreamStats:
        """Count the runs of the log; linear in their number, for people and their tools.

        Raises:
            UnavailableError: The server fell silent.
        """

    @abstractmethod
    def follow(
        self,
        run_id: str,
        *,
        last_event_id: str | None = None,
        heartbeat_interval: float = HEARTBEAT_S,
    ) -> AbstractAsyncContextManager[Following]:
        """Open a run for reading in batches, just after the event ``last_event_id``.

        Args:
            run_id: The run. It must have been created.
            last_event_id: The last event handled; ``None``, empty, ``-``, ``-1``, ``0`` and
                ``0-0`` read everything that is retained. One that cannot be honoured is answered
                by a :class:`StreamGap` first.
            heartbeat_interval: Seconds of silence after which ``HEARTBEAT`` is yielded.

        Raises:
            InvalidIdError: ``run_id`` is not one subject token.
            StreamNotFoundError: Nobody created the run; nothing was created by asking.
            UnavailableError: The server fell silent; call again with the same cursor.
            ColdTierError: Archived events are needed and cannot be read; likewise.
        """

    @asynccontextmanager
    async def subscribe(
        self,
        run_id: str,
        *,
        last_event_id: str | None = None,
        heartbeat_interval: float = HEARTBEAT_S,
    ) -> AsyncGenerator[AsyncIterator[StreamItem]]:
        """Open a run for reading item by item; arguments and errors as for :meth:`follow`.

        Yields:
            An iterator over :class:`StreamEvent`, :class:`StreamGap` and ``HEARTBEAT``. After the
            terminal event comes ``END`` and the iteration ends; ``CANCELLED`` ends it when the
            bridge closes.
        """
        async with self.follow(
            run_id, last_event_id=last_event_id, heartbeat_interval=heartbeat_interval
        ) as following:
            yield _items(following)


async def _items(following: Following) -> AsyncIterator[StreamItem]:
    async with aclosing(following.batches()) as batches:
        async for batch in batches:
            for item in batch:
                yield item
