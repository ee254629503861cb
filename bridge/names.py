"""The names under which others read: consumers that share work, and subscriptions of one reader."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bridge.connection import Connection
from bridge.consumers import Consumers
from bridge.consumption import ClaimSource, ConsumerInfo, ConsumerSpec
from bridge.dead_letters import MAX_LISTED, DeadLetter, DeadLetters
from bridge.errors import ConflictError
from bridge.ids import check_id
from bridge.run_refs import RunRefs
from bridge.subjects import Subjects
from bridge.subscription import Subscription, SubscriptionNames


class Names:
    """Opens, lists and forgets names.

    Args:
        connection: An open connection.
        subjects: Spells the subjects.
        refs: Says whose a run is.
        dead_letters: What consumers gave up.
        idle_s: Seconds without use after which a name is removed.
    """

    def __init__(
        self,
        connection: Connection,
        subjects: Subjects,
        refs: RunRefs,
        dead_letters: DeadLetters,
        *,
        idle_s: float,
    ) -> None:
        self._connection = connection
        self._subjects = subjects
        self._refs = refs
        self._dead_letters = dead_letters
        self._idle_s = idle_s
        self._consumers = Consumers(connection, subjects, dead_letters, idle_s=idle_s)

    async def open_source(self, spec: ConsumerSpec) -> ClaimSource:
        """Open what hands out the events of a name; see :meth:`Consuming.consume`."""
        if spec.run_id is not None:
            run = await self._refs.get(spec.run_id)
            if spec.thread_id not in (None, run.thread_id):
                raise ConflictError(f"run {run.run_id} is not of thread {spec.thread_id}")
        return await self._consumers.open(spec)

    @asynccontextmanager
    async def subscription(
        self,
        name: str,
        *,
        thread_id: str,
        run_id: str | None,
        ack_wait_s: float,
        idle_s: float | None,
    ) -> AsyncGenerator[Subscription]:
        """Read in strict order from a kept position; see :meth:`JetStreamBridge.subscription`."""
        check_id("thread_id", thread_id)
        names = SubscriptionNames(
            self._connection,
            self._subjects,
            check_id("subscription", name),
            wanted=self._subjects.events_of(
                thread_id, None if run_id is None else check_id("run_id", run_id)
            ),
            ack_wait_s=ack_wait_s,
            idle_s=idle_s or self._idle_s,
        )
        subscription = await names.open()
        try:
            yield subscription
        finally:
            await subscription.close()

    async def list_dead_letters(self, name: str, *, after: int, limit: int) -> list[DeadLetter]:
        """Return what a consumer gave up; see :meth:`Consuming.list_dead_letters`."""
        check_id("consumer", name)
        return await self._dead_letters.list(name, after=after, limit=min(limit, MAX_LISTED))

    async def list(self) -> list[ConsumerInfo]:
        """Return every name; see :meth:`Consuming.list_consumers`."""
        return await self._consumers.list()

    async def get(self, name: str) -> ConsumerInfo:
        """Return one name; see :meth:`Consuming.get_consumer`."""
        return await self._consumers.get(check_id("consumer", name))

    async def delete(self, name: str) -> None:
        """Forget a name; see :meth:`Consuming.delete_consumer`."""
        await self._consumers.delete(check_id("consumer", name))
