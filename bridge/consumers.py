"""Durable consumers of run events on JetStream: opened, listed and deleted by name.

The server knows position, acknowledgements and delivery counts. What a name filters and when it
gives up travels in the consumer's metadata, so that all who open the name can be held to it.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from bridge import wire
from bridge.connection import Connection
from bridge.consumption import Claim, ConsumerInfo, ConsumerSpec
from bridge.dead_letters import DeadCause, DeadLetters
from bridge.errors import ApiError, ConsumerNotFoundError, ForeignMessageError
from bridge.events import StreamEvent
from bridge.json_bytes import encode_json
from bridge.pull_consumer import (
    ACK,
    CONSUMER_GONE,
    IN_PROGRESS,
    NANOSECONDS,
    TERM,
    UNREADABLE_PAUSE_S,
    PullConsumer,
    PulledMessage,
    find_consumer,
    list_consumers,
    nak_verb,
)
from bridge.subjects import Subjects

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from bridge.tracing.event_spans import EventSpans

_LOG = logging.getLogger(__name__)

MAX_DELIVER: Final = "max_deliver"
CATEGORIES: Final = "categories"


class JetStreamClaim:
    """One event that the server has handed out; see :class:`bridge.consumption.Claim`."""

    __slots__ = ("_consumer", "_dead_letters", "_pulled", "_span", "attempt", "event")

    def __init__(
        self,
        consumer: str,
        pulled: PulledMessage,
        event: StreamEvent,
        dead_letters: DeadLetters,
        span: "Span | None",
    ) -> None:
        self._consumer = consumer
        self._pulled = pulled
        self._dead_letters = dead_letters
        self._span = span
        self.event = event
        self.attempt = pulled.deliveries

    async def ack(self) -> None:
        """Say that the event is handled."""
        await self._settle(ACK)

    async def nak(self, delay_s: float) -> None:
        """Give it back."""
        await self._settle(nak_verb(delay_s))

    async def in_progress(self) -> None:
        """Start its time anew."""
        await self._pulled.acknowledge(IN_PROGRESS)

    async def bury(self, cause: DeadCause, reason: str) -> None:
        """Keep it as a dead letter, then take it off; a crash in between repeats both."""
        await self._dead_letters.add(
            self._consumer, self.event, attempt=self.attempt, cause=cause, reason=reason
        )
        await self._settle(TERM)

    async def _settle(self, verb: bytes) -> None:
        await self._pulled.acknowledge(verb)
        if self._span is not None:
            self._span.end()


class JetStreamSource:
    """Hands out one name's events; see :class:`bridge.consumption.ClaimSource`."""

    def __init__(
        self,
        name: str,
        consumer: PullConsumer,
        subjects: Subjects,
        dead_letters: DeadLetters,
        spans: "EventSpans | None",
    ) -> None:
        self._name = name
        self._spans = spans
        self._consumer = consumer
        self._subjects = subjects
        self._dead_letters = dead_letters

    async def fetch(self, max_events: int, *, ask: int, wait_s: float) -> list[Claim]:
        """Return what is there.

        A message that this version cannot read is logged and given back for 60 s, again and
        again: it holds nobody up, and a later version may read it.
        """
        claims: list[Claim] = []
        for pulled in await self._consumer.fetch(max_events, ask=ask, wait_s=wait_s):
            try:
                event = event_of(self._subjects, pulled)
            except ForeignMessageError as error:
                _LOG.error("consumer.message.foreign", extra={"error": str(error)})
                await pulled.acknowledge(nak_verb(UNREADABLE_PAUSE_S))
            else:
                span = self._begin_span(pulled, event)
                claims.append(JetStreamClaim(self._name, pulled, event, self._dead_letters, span))
        return claims

    def _begin_span(self, pulled: PulledMessage, event: StreamEvent) -> "Span | None":
        if self._spans is None:
            return None
        parent = (pulled.message.headers or {}).get(wire.TRACE_PARENT)
        return None if parent is None else self._spans.consuming(parent, event, self._name)

    async def close(self) -> None:
        """Stop asking, and give back what was not returned."""
        await self._consumer.close()


def event_of(subjects: Subjects, pulled: PulledMessage) -> StreamEvent:
    """Read the event out of what a consumer of the events stream was handed.

    Raises:
        ForeignMessageError: It is no event that this version reads.
    """
    message = pulled.message
    run = subjects.run_of(message.subject)
    return wire.decode_event(run, pulled.stream_seq, message.headers, message.data)


class Consumers:
    """The durable consumers of the events stream.

    Args:
        connection: An open connection.
        subjects: Spells the subjects.
        dead_letters: Keeps what consumers give up.
        idle_s: Seconds without use after which the server removes a consumer that is not kept.
    """

    def __init__(
        self,
        connection: Connection,
        subjects: Subjects,
        dead_letters: DeadLetters,
        *,
        idle_s: float,
    ) -> None:
        self._connection = connection
        self._subjects = subjects
        self._dead_letters = dead_letters
        self._idle_s = idle_s

    async def open(self, spec: ConsumerSpec) -> JetStreamSource:
        """Make the consumer when it is absent, verify it otherwise.

        Raises:
            ConsumerDriftError: The name stands for something else; it was not changed.
            ConsumerLimitError: As many consumers as there may be exist.
            UnavailableError: The server fell silent.
        """
        consumer = PullConsumer(
            self._connection, self._subjects.events_stream, self._config(spec), keep=True
        )
        await consumer.open()
        return JetStreamSource(
            spec.name, consumer, self._subjects, self._dead_letters, self._connection.spans
        )

    def _config(self, spec: ConsumerSpec) -> dict[str, Any]:
        return {
            "durable_name": spec.name,
            "filter_subject": self._subjects.events_of(spec.thread_id, spec.run_id),
            **start_config(spec),
            "ack_policy": "explicit",
            "ack_wait": int(spec.ack_wait_s * NANOSECONDS),
            "max_ack_pending": spec.max_ack_pending,
            # The server would give an event up without a trace: we count, and keep what is left.
            "max_deliver": -1,
            "inactive_threshold": 0 if spec.is_kept else int(self._idle_s * NANOSECONDS),
            "metadata": {
                MAX_DELIVER: "" if spec.max_deliver is None else str(spec.max_deliver),
                CATEGORIES: ""
                if spec.categories is None
                else encode_json(spec.categories).decode(),
            },
        }

    async def list(self) -> list[ConsumerInfo]:
        """Return all consumers of the events stream, by name."""
        found = await list_consumers(self._connection, self._subjects.events_stream)
        infos = [consumer_info(self._subjects, each) for each in found]
        return sorted(infos, key=lambda info: info.name)

    async def get(self, name: str) -> ConsumerInfo:
        """Return one consumer.

        Raises:
            ConsumerNotFoundError: It is not there.
            UnavailableError: The server fell silent.
        """
        stream = self._subjects.events_stream
        found = await find_consumer(self._connection, stream, name)
        return consumer_info(self._subjects, found)

    async def delete(self, name: str) -> None:
        """Forget a name and its position; those who read under it get ConsumerNotFoundError.

        Raises:
            ConsumerNotFoundError: There is no such consumer.
            UnavailableError: The server fell silent.
        """
        try:
            await self._connection.api(
                f"$JS.API.CONSUMER.DELETE.{self._subjects.events_stream}.{name}"
            )
        except ApiError as error:
            if error.err_code in CONSUMER_GONE:
                raise ConsumerNotFoundError(name) from error
            raise


def consumer_info(subjects: Subjects, found: Mapping[str, Any]) -> ConsumerInfo:
    """Read what the server knows of a consumer of the events stream."""
    wanted = found["config"].get("filter_subject") or subjects.all_events
    thread_id, run_id = subjects.scope_of(wanted)
    return ConsumerInfo(
        name=found["name"],
        thread_id=thread_id,
        run_id=run_id,
        waiting=found["num_pending"],
        unacknowledged=found["num_ack_pending"],
        acknowledged_seq=found["ack_floor"]["stream_seq"],
        created_at=found["created"],
    )


def start_config(spec: ConsumerSpec) -> dict[str, Any]:
    """Return where the server starts a new name."""
    first_seq = spec.first_seq()
    if first_seq is None:
        return {"deliver_policy": "new"}
    if first_seq == 1:
        return {"deliver_policy": "all"}
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": first_seq}
