"""A named position for one reader at a time, in strict order; who opens the name last has it.

Each opening is a consumer of its own, the next generation of the name, which starts behind what the
one before had acknowledged and then replaces it. So a reader that lost its name cannot take events
from its successor, and a crash between the steps leaves a position behind, never none.
"""

import logging
from dataclasses import dataclass
from typing import Final

from bridge.connection import Connection
from bridge.consumers import event_of
from bridge.errors import (
    ApiError,
    ConsumerDriftError,
    ConsumerNotFoundError,
    ForeignMessageError,
    SubscriptionTakenError,
)
from bridge.events import StreamEvent
from bridge.ids import new_id
from bridge.pull_consumer import (
    ACK,
    CONSUMER_GONE,
    NANOSECONDS,
    PullConsumer,
    PulledMessage,
    find_consumer,
    verify,
)
from bridge.subjects import Subjects

_LOG = logging.getLogger(__name__)

MAX_UNACKNOWLEDGED: Final = 1000
#: Openings of one name that race with each other, after which one gives up.
MAX_RACES: Final = 16


@dataclass(frozen=True, slots=True)
class _Opening:
    """One generation of a name, and where it starts."""

    generation: int
    first_seq: int
    consumer: PullConsumer


class Subscription:
    """What one reader holds of a name: fetch, handle, acknowledge, in this order.

    Attributes:
        acknowledged_seq: The stream sequence up to which earlier readers had acknowledged; 0 for a
            new name.
    """

    def __init__(self, names: "SubscriptionNames", opening: _Opening) -> None:
        self._names = names
        self._opening = opening
        self._consumer_seq = 0
        self._reached_seq = self.acknowledged_seq = opening.first_seq - 1
        self._last: PulledMessage | None = None
        self._is_broken = False

    async def fetch(self, max_events: int, *, wait_s: float) -> list[StreamEvent]:
        """Return the next events in the order of the log, or none within about ``wait_s``.

        A message that is no event of this version is logged and passed over.

        Raises:
            SubscriptionTakenError: Another reader opened the name, or it was deleted.
            BridgeClosedError: The bridge was closed.
            UnavailableError: The server fell silent when lost events had to be asked for again.
        """
        if self._is_broken:
            await self._start_over()
        try:
            fetched = await self._opening.consumer.fetch(max_events, wait_s=wait_s)
        except ConsumerNotFoundError as error:
            raise SubscriptionTakenError(self._names.name) from error
        events = []
        for pulled in fetched:
            if pulled.consumer_seq != self._consumer_seq + 1:
                # Handed out and lost on the way: in order means to go back to it.
                self._is_broken = True
                break
            self._consumer_seq += 1
            event = self._new(pulled)
            if event is not None:
                events.append(event)
        return events

    def _new(self, pulled: PulledMessage) -> StreamEvent | None:
        if pulled.stream_seq <= self._reached_seq:
            return None  # its acknowledgement was late or lost
        self._reached_seq = pulled.stream_seq
        self._last = pulled
        try:
            return event_of(self._names.subjects, pulled)
        except ForeignMessageError as error:
            _LOG.error("subscription.message.foreign", extra={"error": str(error)})
            return None

    async def ack(self) -> None:
        """Acknowledge everything that :meth:`fetch` returned; lost, it may come to the next one."""
        last, self._last = self._last, None
        if last is not None:
            await last.acknowledge(ACK)

    async def _start_over(self) -> None:
        await self._opening.consumer.close()
        self._opening = await self._names.take(instead_of=self._opening.generation)
        self._consumer_seq = 0
        self._is_broken = False

    async def close(self) -> None:
        """Stop reading; the name and its position stay."""
        await self._opening.consumer.close()


class SubscriptionNames:
    """The generations of one name.

    Args:
        connection: An open connection.
        subjects: Spells the subjects.
        name: The name, without a generation.
        wanted: The subject of the events that it stands for.
        ack_wait_s: Seconds after which an event is handed to its reader again.
        idle_s: Seconds without a reader after which the server removes the name.
    """

    def __init__(
        self,
        connection: Connection,
        subjects: Subjects,
        name: str,
        *,
        wanted: str,
        ack_wait_s: float,
        idle_s: float,
    ) -> None:
        self.name = name
        self.subjects = subjects
        self._connection = connection
        self._wanted = wanted
        self._ack_wait_s = ack_wait_s
        self._idle_s = idle_s

    async def open(self) -> Subscription:
        """Take the name from whoever has it.

        Raises:
            ConsumerDriftError: It stands for the events of something else.
            ConsumerLimitError: As many consumers exist as may exist.
            SubscriptionTakenError: Too many others opened it at the same moment.
            UnavailableError: The server fell silent.
        """
        return Subscription(self, await self.take())

    async def take(self, *, instead_of: int | None = None) -> _Opening:
        """Make the next generation and remove those before.

        Args:
            instead_of: The generation that must be the newest; None takes the name from any.
        """
        for _ in range(MAX_RACES):
            known = await self._generations()
            newest = known[-1] if known else 0
            if instead_of not in (None, newest):
                break
            try:
                opening = await self._make(newest)
            except (ConsumerDriftError, ConsumerNotFoundError) as error:
                if isinstance(error, ConsumerDriftError) and error.field == "filter_subject":
                    raise
                continue  # another reader was quicker
            for generation in known:
                await self._remove(generation)
            return opening
        raise SubscriptionTakenError(self.name)

    async def _make(self, newest: int) -> _Opening:
        first_seq = await self._first_seq(newest) if newest else 1
        config = {
            "durable_name": self._consumer_name(newest + 1),
            "filter_subject": self._wanted,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": first_seq,
            "ack_policy": "all",
            "ack_wait": int(self._ack_wait_s * NANOSECONDS),
            "max_ack_pending": MAX_UNACKNOWLEDGED,
            "max_deliver": -1,
            "inactive_threshold": int(self._idle_s * NANOSECONDS),
            # Two openings at one moment differ in this, so that only one of them is made.
            "metadata": {"opening": new_id()},
        }
        consumer = PullConsumer(self._connection, self.subjects.events_stream, config)
        await consumer.open()
        return _Opening(newest + 1, first_seq, consumer)

    async def _first_seq(self, generation: int) -> int:
        name = self._consumer_name(generation)
        found = await find_consumer(self._connection, self.subjects.events_stream, name)
        verify(self.name, {"filter_subject": self._wanted}, found["config"])
        started = int(found["config"].get("opt_start_seq", 1))
        return max(started, int(found["ack_floor"]["stream_seq"]) + 1)

    async def _generations(self) -> list[int]:
        subject = f"$JS.API.CONSUMER.NAMES.{self.subjects.events_stream}"
        names: list[str] = []
        while True:
            answer = await self._connection.api(subject, {"offset": len(names)})
            page = answer.get("consumers") or []
            names += page
            if not page or len(names) >= answer["total"]:
                break
        parts = (name.rpartition("_") for name in names)
        return sorted(int(last) for base, _, last in parts if base == self.name and last.isdigit())

    async def _remove(self, generation: int) -> None:
        name = self._consumer_name(generation)
        subject = f"$JS.API.CONSUMER.DELETE.{self.subjects.events_stream}.{name}"
        try:
            await self._connection.api(subject)
        except ApiError as error:
            if error.err_code not in CONSUMER_GONE:
                raise

    def _consumer_name(self, generation: int) -> str:
        return f"{self.name}_{generation}"
