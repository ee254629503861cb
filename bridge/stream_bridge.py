"""The contract of the event log: what every bridge promises to publishers and readers.

An acknowledged event is delivered once, in order, to every reader, or counted in a gap. A run has
exactly one terminal event and it is the last. Asking never creates anything.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

from bridge.consumption import ALL, ClaimSource, ConsumerInfo, ConsumerSpec, Consumption
from bridge.dead_letters import DeadLetter
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


#: Takes one event at once, without waiting; returns whether it did.
Push: TypeAlias = Callable[[StreamEvent], bool]


class Following(Protocol):
    """One reader of one run. It keeps nothing that outlives its context."""

    @property
    def resume(self) -> ResumeResult:
        """What became of the cursor."""

    def tap(self, push: Push) -> None:
        """Let the bridge hand live events over at once, while :meth:`batches` waits.

        Saves the switch to the reader's task for each event, which is most of what a delivery to
        many readers costs. An event goes to ``push`` or into a batch, never to both, and the order
        stays. Terminal events, gaps and whatever ``push`` does not take come in batches. A bridge
        may leave it alone and put everything into batches.

        Args:
            push: Takes an event without waiting, or returns False; it must not raise.
        """

    def batches(self) -> AsyncIterator[Batch]:
        """Yield what is waiting, in order, in lists of at least one item.

        A list ends with ``END`` after the terminal event, and with ``CANCELLED`` when the bridge
        closes; the iteration is over then. ``HEARTBEAT`` comes alone, when there was no batch for
        long.
        """


class StreamBridge(ABC):
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

    async def publish(
        self,
        run_id: str,
        event: str,
        data: Any,
        *,
        category: str = "stream",
        metadata: Mapping[str, Any] | None = None,
        event_id: str | None = None,
    ) -> str:
        """Append one event durably.

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
        return await self.publish_event(run_id, encoded)

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

        Readers under way get what was there and then ``END``. Where an archive is written, what it
        does not have by then is missing from it: leave it ``delay``, or end the run first and wait.
        Cleaning up twice changes nothing.

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

    @asynccontextmanager
    async def consume(  # noqa: PLR0913 - what a name stands for, given once and by keyword
        self,
        name: str,
        *,
        thread_id: str | None = None,
        run_id: str | None = None,
        categories: Iterable[str] | None = None,
        start: str = ALL,
        batch: int = 100,
        ack_wait_s: float = 30.0,
        max_deliver: int | None = 5,
        max_ack_pending: int = 1000,
    ) -> AsyncGenerator[Consumption]:
        """Read events under a name whose position the log remembers.

        Whoever opens the same name, in any process, shares the work: each event is handed to one
        of them, and to the next one when it is not acknowledged in time. A name that nobody uses
        for ``consumer_idle_s`` is removed, and starts anew when it is opened again.

        Args:
            name: One subject token. It stands for all arguments but ``batch``: opening it with
                others is an error that names the first that differs.
            thread_id: Only events of this thread.
            run_id: Only events of this run.
            categories: Only events of these categories; the others are acknowledged unseen.
            start: Where a new name starts: ``all``, ``new``, or after an event id.
            batch: Events fetched at one time; those that wait here are kept from others.
            ack_wait_s: Seconds after which an unacknowledged event is handed out again.
            max_deliver: Deliveries after which an event becomes a dead letter; None: never.
            max_ack_pending: Unacknowledged events above which no more are handed out.

        Yields:
            The events, to iterate or to fetch; each is to be acknowledged once it is handled.

        Raises:
            InvalidIdError: A name or id is not one subject token; nothing was made.
            InvalidStartError: ``start`` is none of the three; nothing was made.
            StreamNotFoundError: Nobody created the run; nothing was made.
            ConflictError: The run is not of this thread; nothing was made.
            ConsumerDriftError: The name stands for something else; it was not changed.
            ConsumerLimitError: As many names exist as may exist; nothing was made.
            UnavailableError: The server fell silent; call again.
        """
        spec = ConsumerSpec.checked(
            name,
            categories=categories,
            thread_id=thread_id,
            run_id=run_id,
            start=start,
            batch=batch,
            ack_wait_s=ack_wait_s,
            max_deliver=max_deliver,
            max_ack_pending=max_ack_pending,
        )
        async with self.open_consumer(spec) as consumption:
            yield consumption

    @asynccontextmanager
    async def open_consumer(self, spec: ConsumerSpec) -> AsyncGenerator[Consumption]:
        """Read events under the name that ``spec`` describes; errors as for :meth:`consume`."""
        consumption = Consumption(await self._open_source(spec), spec)
        try:
            yield consumption
        finally:
            await consumption.close()

    @abstractmethod
    async def _open_source(self, spec: ConsumerSpec) -> ClaimSource:
        """Open a name's events; errors as for :meth:`consume`."""

    @abstractmethod
    async def list_consumers(self) -> list[ConsumerInfo]:
        """Return every name, its position and what is left to do, by name.

        Raises:
            UnavailableError: The server fell silent.
        """

    @abstractmethod
    async def delete_consumer(self, name: str) -> None:
        """Forget a name and its position; those who read under it get ConsumerNotFoundError.

        Raises:
            ConsumerNotFoundError: There is no such name.
            UnavailableError: The server fell silent.
        """

    @abstractmethod
    async def list_dead_letters(
        self, name: str, *, after: int = 0, limit: int = 100
    ) -> list[DeadLetter]:
        """Return what the consumer ``name`` gave up, oldest first; also after its deletion.

        Args:
            name: The consumer's name.
            after: ``seq`` of the last dead letter known; 0 lists from the oldest.
            limit: At most so many, 1000 at most.

        Raises:
            UnavailableError: The server fell silent.
        """


async def _items(following: Following) -> AsyncIterator[StreamItem]:
    async for batch in following.batches():
        for item in batch:
            yield item
