"""Events that a durable consumer gave up, kept with their cause in a stream of their own.

A dead letter is the event's own message once more, with headers that say who gave it up and why.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge import wire
from bridge.connection import Connection
from bridge.errors import ForeignMessageError
from bridge.events import StreamEvent, timestamp
from bridge.publication import publish_surely
from bridge.stream_reader import StoredMessage, StreamReader
from bridge.subjects import RunRef, Subjects

MAX_REASON_LENGTH: Final = 512
MAX_LISTED: Final = 1000


class DeadCause(StrEnum):
    """Why an event was given up."""

    EXHAUSTED = "max-deliver"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One event that a consumer gave up.

    Attributes:
        seq: Its place among the dead letters; list on from here.
        consumer: The consumer's name.
        event: The event with its own id.
        cause: Why it was given up.
        reason: The same for people, in the handler's words where it gave some.
        attempt: How often the event had been handed out.
        created_at: When it was given up, RFC 3339.
    """

    seq: int
    consumer: str
    event: StreamEvent
    cause: DeadCause
    reason: str
    attempt: int
    created_at: str


def one_line(reason: str) -> str:
    """Return a handler's words so that they fit into a header."""
    plain = "".join(each if each.isprintable() else " " for each in reason)
    text = " ".join(plain.encode("utf-8", "replace").decode().split())
    return text[:MAX_REASON_LENGTH] or "no reason given"


class DeadLetters:
    """Stores and lists dead letters.

    Args:
        connection: An open connection.
        reader: Reads the stream of dead letters.
        subjects: Spells the subjects.
    """

    def __init__(self, connection: Connection, reader: StreamReader, subjects: Subjects) -> None:
        self._connection = connection
        self._reader = reader
        self._subjects = subjects

    async def add(
        self, consumer: str, event: StreamEvent, *, attempt: int, cause: DeadCause, reason: str
    ) -> None:
        """Store an event that ``consumer`` gives up; a repeat within 120 s stores nothing.

        Raises:
            StreamCapacityExceededError: The server's storage is full; nothing was stored.
            UnavailableError: The server fell silent; call again.
        """
        subject = self._subjects.dead_letter(consumer, event.run)
        headers = {
            **wire.headers_of(event),
            wire.DEAD_CONSUMER: consumer,
            wire.DEAD_SEQUENCE: str(event.event_id.stream_seq),
            wire.DEAD_CAUSE: cause.value,
            wire.DEAD_REASON: one_line(reason),
            wire.DEAD_ATTEMPT: str(attempt),
            wire.DEAD_TIME: timestamp(),
            wire.MESSAGE_ID: f"{consumer}:{event.event_id.stream_seq}",
        }
        await publish_surely(
            self._connection,
            subject,
            event.payload,
            wire.encode_headers(headers),
            what=f"storing a dead letter of {consumer}",
        )

    async def forget(self, run: RunRef) -> None:
        """Remove what consumers gave up of a run, whoever they are.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        await self._reader.purge(self._subjects.dead_letter("*", run))

    async def list(self, consumer: str, *, after: int, limit: int) -> list[DeadLetter]:
        """Return a consumer's dead letters behind the place ``after``, oldest first."""
        subject = self._subjects.dead_letters(consumer)
        found: list[DeadLetter] = []
        complete = False
        while len(found) < limit and not complete:
            page = await self._reader.read(subject, after + 1, limit - len(found))
            found += [self._decode(message) for message in page.messages]
            after = page.messages[-1].seq if page.messages else after
            complete = page.complete
        return found

    def _decode(self, message: StoredMessage) -> DeadLetter:
        run = self._subjects.run_of(message.subject)
        headers = message.headers
        try:
            seq = int(headers[wire.DEAD_SEQUENCE])
            return DeadLetter(
                seq=message.seq,
                consumer=headers[wire.DEAD_CONSUMER],
                event=wire.decode_event(run, seq, headers, message.payload),
                cause=DeadCause(headers[wire.DEAD_CAUSE]),
                reason=headers[wire.DEAD_REASON],
                attempt=int(headers[wire.DEAD_ATTEMPT]),
                created_at=headers[wire.DEAD_TIME],
            )
        except (KeyError, ValueError) as error:
            raise ForeignMessageError(f"dead letter {message.seq}", repr(error)) from error
