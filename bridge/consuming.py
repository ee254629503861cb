"""The contract of durable consumers: named positions in the log that services share.

An event is handed out until it is acknowledged, or becomes a dead letter; see
:mod:`bridge.consumption` for what a delivery promises.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from bridge.consumption import ALL, ClaimSource, ConsumerInfo, ConsumerSpec, Consumption
from bridge.dead_letters import DeadLetter


class Consuming(ABC):
    """What a bridge offers to those who read under a name."""

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
    async def get_consumer(self, name: str) -> ConsumerInfo:
        """Return one name, its position and what is left to do.

        Raises:
            ConsumerNotFoundError: There is no such name.
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
