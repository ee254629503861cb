"""A named position for one reader at a time, in strict order; who opens the name last has it.

Each opening is a consumer of its own, the next generation of the name, which starts behind what the
one before had acknowledged and then replaces it. So a reader that lost its name cannot take events
from its successor, and a crash between the steps leaves a position behind, never none.
"""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from bridge.connection import Connection
from bridge.consumers import event_of
from bridge.errors import (
    ApiError,
    BridgeClosedError,
    ConsumerDriftError,
    ConsumerNotFoundError,
    ForeignMessageError,
    NewerVersionError,
    SubscriptionTakenError,
)
from bridge.events import StreamEvent
from bridge.ids import EventId, new_id, parse_cursor
from bridge.pull_consumer import (
    ACK,
    CONSUMER_GONE,
    NANOSECONDS,
    PullConsumer,
    PulledMessage,
    find_consumer,
    verify,
)
from bridge.replies import SilenceError
from bridge.subjects import Subjects

_LOG = logging.getLogger(__name__)

MAX_UNACKNOWLEDGED: Final = 1000
#: Openings of one name that race with each other, after which one gives up.
MAX_RACES: Final = 16


#: How often the position of a reader is noted while it acknowledges.
NOTE_INTERVAL_S: Final = 5.0
_HANDLED: Final = "handled"
_OF_RUN: Final = "of_run"
_OPENING: Final = "opening"


class Handled(NamedTuple):
    """The last event that the readers of a name certainly had, and its run."""

    event_id: EventId
    run_id: str


NOTHING: Final = Handled(EventId(0, 0), "")


@dataclass(frozen=True, slots=True)
class _Opening:
    """One generation of a name, and where it starts."""

    generation: int
    config: Mapping[str, Any]
    handled: Handled
    consumer: PullConsumer

    @property
    def first_seq(self) -> int:
        """The first stream sequence that it can deliver."""
        return int(self.config["opt_start_seq"])


class Subscription:
    """What one reader holds of a name: fetch, handle, acknowledge, in this order.

    Attributes:
        acknowledged_seq: The stream sequence up to which nothing comes again: acknowledged by
            earlier readers, or removed from the log meanwhile.
        handled: Up to here earlier readers certainly had everything; ``NOTHING`` for a new name.
            It may lag behind when a process was killed.
    """

    def __init__(self, names: "SubscriptionNames", opening: _Opening) -> None:
        self._names = names
        self._opening = opening
        self._consumer_seq = 0
        self._reached_seq = self.acknowledged_seq = opening.first_seq - 1
        self.handled = self._handled = self._fetched = opening.handled
        self._noted_at = time.monotonic()
        self._last: PulledMessage | None = None
        self._is_broken = False

    async def fetch(self, max_events: int, *, wait_s: float) -> list[StreamEvent]:
        """Return the next events in the order of the log, or none within about ``wait_s``.

        A message that is no event is logged and passed over.

        Raises:
            NewerVersionError: The next event is of a newer version; it stays for who reads it.
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
        events: list[StreamEvent] = []
        for pulled in fetched:
            if pulled.consumer_seq != self._consumer_seq + 1:
                # Handed out and lost on the way: in order means to go back to it.
                self._is_broken = True
                break
            try:
                event = self._new(pulled)
            except NewerVersionError:
                # Acknowledging what follows would take it from a process that reads it.
                self._is_broken = True
                if not events:
                    raise
                break
            self._consumer_seq += 1
            if event is not None:
                events.append(event)
                self._fetched = Handled(event.event_id, event.run_id)
        return events

    def _new(self, pulled: PulledMessage) -> StreamEvent | None:
        if pulled.stream_seq <= self._reached_seq:
            return None  # its acknowledgement was late or lost
        event = None
        try:
            event = event_of(self._names.subjects, pulled)
        except NewerVersionError:
            raise
        except ForeignMessageError as error:
            _LOG.error("subscription.message.foreign", extra={"error": str(error)})
        self._reached_seq = pulled.stream_seq
        self._last = pulled
        return event

    async def ack(self) -> None:
        """Acknowledge everything that :meth:`fetch` returned; lost, it may come to the next one."""
        last, self._last = self._last, None
        if last is not None:
            await last.acknowledge(ACK)
            self._handled = self._fetched
            if time.monotonic() - self._noted_at >= NOTE_INTERVAL_S:
                await self._note()

    async def _note(self) -> None:
        """Note the position beside the server's own, which a purge moves over unread events."""
        self._noted_at = time.monotonic()
        await self._names.note(self._opening, self._handled)

    async def _start_over(self) -> None:
        await self._note()
        await self._opening.consumer.close()
        self._opening = await self._names.take(instead_of=self._opening.generation)
        self._consumer_seq = 0
        self._is_broken = False

    async def close(self) -> None:
        """Stop reading; the name and its position stay."""
        if self._handled != self._opening.handled:
            await self._note()
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
            try:
                for generation in known:
                    await self._remove(generation)
            except BaseException:
                await opening.consumer.close()
                raise
            return opening
        raise SubscriptionTakenError(self.name)

    async def _make(self, newest: int) -> _Opening:
        first_seq, handled = await self._position(newest) if newest else (1, NOTHING)
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
            "metadata": {_OPENING: new_id(), **_noted(handled)},
        }
        consumer = PullConsumer(self._connection, self.subjects.events_stream, config)
        await consumer.open()
        return _Opening(newest + 1, config, handled, consumer)

    async def note(self, opening: _Opening, handled: Handled) -> None:
        """Note how far a reader has come; without an answer, for it may be noted again."""
        metadata = {**opening.config["metadata"], **_noted(handled)}
        config = {**opening.config, "metadata": metadata}
        stream, name = self.subjects.events_stream, opening.config["durable_name"]
        body = {"stream_name": stream, "config": config, "action": "update"}
        subject = f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}"
        with suppress(SilenceError, BridgeClosedError):  # an older note makes repeats, no losses
            self._connection.publish(
                subject, orjson.dumps(body), reply=self._connection.new_inbox()
            )

    async def _position(self, generation: int) -> tuple[int, Handled]:
        name = self._consumer_name(generation)
        found = await find_consumer(self._connection, self.subjects.events_stream, name)
        verify(self.name, {"filter_subject": self._wanted}, found["config"])
        config = found["config"]
        floor = int(found["ack_floor"]["stream_seq"])
        first_seq = max(int(config.get("opt_start_seq", 1)), floor + 1)
        noted = config.get("metadata", {})
        event_id = parse_cursor(noted.get(_HANDLED))
        if not isinstance(event_id, EventId):
            return first_seq, NOTHING
        return first_seq, Handled(event_id, noted[_OF_RUN])

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


def _noted(handled: Handled) -> dict[str, str]:
    return {_HANDLED: str(handled.event_id), _OF_RUN: handled.run_id}
