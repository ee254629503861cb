"""Timers that the server keeps: a payload that comes back at its time, with no process watching.

A timer is named by its kind and its key. Setting it again replaces it. When its time has come it
is fired once, and its firing is handed to one of those who consume its kind, again and again until
it is acknowledged. A firing that nobody has handled yet is replaced by the next one of the same
timer. Whoever handles firings asks the state whether there is something to do: a timer may fire
although it was cancelled in the same moment.
"""

from datetime import UTC, datetime
from typing import Final, Protocol

from bridge import wire
from bridge.connection import Connection
from bridge.ids import check_id
from bridge.publication import publish_surely
from bridge.pull_consumer import (
    ACK,
    PullConsumer,
    PulledMessage,
    nak_verb,
    open_shared,
    without_newer,
)
from bridge.subjects import Subjects

MAX_FIRINGS_IN_PROGRESS: Final = 1000


class FiredTimer(Protocol):
    """One firing to handle.

    Attributes:
        kind: What sort of timer it is.
        key: Its name within its kind.
        payload: What it was set with.
        deliveries: How often the firing was handed out; a hint.
    """

    kind: str
    key: str
    payload: bytes
    deliveries: int

    async def ack(self) -> None:
        """Say that the firing is handled; it does not come again."""
        ...

    async def nak(self, delay_s: float = 0) -> None:
        """Give the firing back, to be handed out again after ``delay_s`` seconds."""
        ...


class FiredTimers(Protocol):
    """The firings of one kind; processes that open the same kind share them."""

    async def fetch(self, max_firings: int, *, wait_s: float) -> list[FiredTimer]:
        """Return firings, at least one, or none after ``wait_s`` seconds.

        Outages of the server count as waiting.
        """
        ...

    async def close(self) -> None:
        """Stop asking; what was fetched and not acknowledged comes again elsewhere."""
        ...


class Timers(Protocol):
    """Sets timers and hands out what they fire."""

    async def set(self, kind: str, key: str, *, at: datetime, payload: bytes = b"{}") -> None:
        """Have ``payload`` come back at a time; a timer of the same name is replaced.

        Args:
            kind: What sort of timer it is; it decides who consumes its firing.
            key: Its name within its kind.
            at: When it fires, aware of its zone. A time that has passed fires at once.
            payload: What comes back.

        Raises:
            InvalidIdError: One of the names is not one subject token.
            StreamCapacityExceededError: The server's disk or memory is full; nothing was set.
            UnavailableError: The server fell silent; call again, it is idempotent.
        """
        ...

    async def cancel(self, kind: str, key: str) -> None:
        """Remove a timer that has not fired; without one, nothing changes.

        Raises:
            InvalidIdError: One of the names is not one subject token.
            UnavailableError: The server fell silent; call again.
        """
        ...

    async def consumer(self, kind: str, *, lease_s: float) -> FiredTimers:
        """Open the durable consumer of a kind.

        Args:
            kind: What sort of timers.
            lease_s: Seconds after which a firing that was not acknowledged comes again.

        Raises:
            ConsumerDriftError: It exists with another lease.
            UnavailableError: The server fell silent.
        """
        ...


class _Firing:
    """A :class:`FiredTimer` of the server."""

    def __init__(self, pulled: PulledMessage) -> None:
        self._pulled = pulled
        self.kind, self.key = pulled.message.subject.rsplit(".", 2)[1:]
        self.payload = pulled.message.data
        self.deliveries = pulled.deliveries

    async def ack(self) -> None:
        await self._pulled.acknowledge(ACK)

    async def nak(self, delay_s: float = 0) -> None:
        await self._pulled.acknowledge(nak_verb(delay_s))


class _Firings:
    """:class:`FiredTimers` of the server."""

    def __init__(self, consumer: PullConsumer) -> None:
        self._consumer = consumer

    async def fetch(self, max_firings: int, *, wait_s: float) -> list[FiredTimer]:
        fetched = await self._consumer.fetch(max_firings, wait_s=wait_s)
        return [_Firing(pulled) for pulled in await without_newer(fetched)]

    async def close(self) -> None:
        await self._consumer.close()


class JetStreamTimers:
    """:class:`Timers` as message schedules of the server; they survive restarts of everything.

    An overdue timer fires when the server is back; one fires up to 250 ms late (nats-server 2.15).

    Args:
        connection: An open connection.
        subjects: Spells the subjects.
    """

    def __init__(self, connection: Connection, subjects: Subjects) -> None:
        self._connection = connection
        self._subjects = subjects

    async def set(self, kind: str, key: str, *, at: datetime, payload: bytes = b"{}") -> None:
        """Have ``payload`` come back at a time; see :meth:`Timers.set`."""
        headers = {
            wire.SCHEDULE: f"@at {_instant(at)}",
            wire.SCHEDULE_TARGET: self._subjects.firing(*_checked(kind, key)),
        }
        await publish_surely(
            self._connection,
            self._subjects.timer(kind, key),
            payload,
            wire.encode_stored(headers),
            what=f"setting timer {kind} {key}",
        )

    async def cancel(self, kind: str, key: str) -> None:
        """Remove a timer that has not fired; see :meth:`Timers.cancel`."""
        subject = self._subjects.timer(*_checked(kind, key))
        purge = f"$JS.API.STREAM.PURGE.{self._subjects.timers_stream}"
        await self._connection.api(purge, {"filter": subject})

    async def consumer(self, kind: str, *, lease_s: float) -> FiredTimers:
        """Open the durable consumer of a kind; see :meth:`Timers.consumer`."""
        consumer = await open_shared(
            self._connection,
            self._subjects.timers_stream,
            f"fired_{check_id('kind', kind)}",
            self._subjects.firings(kind),
            lease_s=lease_s,
            max_in_progress=MAX_FIRINGS_IN_PROGRESS,
        )
        return _Firings(consumer)


def _checked(kind: str, key: str) -> tuple[str, str]:
    return check_id("kind", kind), check_id(f"{kind}_id", key)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
