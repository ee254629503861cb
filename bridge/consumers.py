"""Durable consumers of run events: a named position in the log that the server remembers."""

import logging
from typing import Final

from bridge import wire
from bridge.connection import Connection
from bridge.errors import ForeignMessageError
from bridge.events import StreamEvent
from bridge.ids import check_id
from bridge.pull_consumer import ACK, NAK, PullConsumer, PulledMessage
from bridge.subjects import Subjects

_LOG = logging.getLogger(__name__)

#: How long a message of another version stays away before it is looked at again.
FOREIGN_PAUSE_S: Final = 60.0
_NANOSECONDS: Final = 1_000_000_000


class Delivery:
    """One event handed to a durable consumer, to be acknowledged once it is handled for good.

    Attributes:
        event: The event.
        deliveries: How often it was handed out.
    """

    __slots__ = ("_pulled", "deliveries", "event")

    def __init__(self, pulled: PulledMessage, event: StreamEvent) -> None:
        self._pulled = pulled
        self.event = event
        self.deliveries = pulled.deliveries

    async def ack(self) -> None:
        """Say that the event is handled; lost with the connection, it comes again."""
        await self._pulled.acknowledge(ACK)

    async def nak(self, delay_s: float = 0) -> None:
        """Give the event back, to be handed out again after ``delay_s`` seconds."""
        await self._pulled.acknowledge(_nak(delay_s))


def _nak(delay_s: float) -> bytes:
    return NAK + b' {"delay": %d}' % int(delay_s * _NANOSECONDS) if delay_s else NAK


class EventConsumer:
    """Fetches events of all runs for one name; processes that open the name share them."""

    def __init__(self, consumer: PullConsumer, subjects: Subjects) -> None:
        self._consumer = consumer
        self._subjects = subjects

    async def fetch(self, max_events: int, *, wait_s: float) -> list[Delivery]:
        """Return waiting events, or none after ``wait_s`` seconds.

        Outages of the server count as waiting. A message that is no event of this version is
        logged and given back for 60 s, again and again: it holds nobody up, and a later version
        may read it.
        """
        pulled = await self._consumer.fetch(max_events, wait_s=wait_s)
        deliveries: list[Delivery] = []
        for one in pulled:
            try:
                deliveries.append(Delivery(one, self._event(one)))
            except ForeignMessageError as error:
                _LOG.error("consumer.message.foreign", extra={"error": str(error)})
                await one.acknowledge(_nak(FOREIGN_PAUSE_S))
        return deliveries

    def _event(self, pulled: PulledMessage) -> StreamEvent:
        message = pulled.message
        run = self._subjects.run_of(message.subject)
        return wire.decode_event(run, pulled.stream_seq, message.headers, message.data)

    async def close(self) -> None:
        """Stop asking for events."""
        await self._consumer.close()


async def open_event_consumer(
    connection: Connection,
    subjects: Subjects,
    name: str,
    *,
    ack_wait_s: float,
    max_ack_pending: int,
) -> EventConsumer:
    """Open the durable consumer ``name`` on the events of all runs, from the first one on.

    Raises:
        InvalidIdError: The name is not one subject token.
        TopologyDriftError: It exists with another configuration.
        UnavailableError: The server fell silent.
    """
    config = {
        "durable_name": check_id("consumer", name),
        "filter_subject": subjects.all_events,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(ack_wait_s * _NANOSECONDS),
        "max_ack_pending": max_ack_pending,
        "max_deliver": -1,
    }
    consumer = PullConsumer(connection, subjects.events_stream, config)
    await consumer.open()
    return EventConsumer(consumer, subjects)
