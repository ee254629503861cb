"""A frozen set of events on its way into the log: one publish, or one atomic batch.

A flight never changes once sent. Sent again, it is the same messages at the same place, so the
server stores it at most once, whatever got lost on the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from bridge import wire
from bridge.connection import Connection
from bridge.events import DELETED, TERMINAL_EVENTS, NewEvent, StreamEvent
from bridge.publication import Ack, publish_once

MAX_BATCH_EVENTS: Final = 500
MAX_ATOMIC_EVENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """The newest event of a run, as far as a writer knows: what the next one is put behind."""

    stream_seq: int
    run_seq: int
    total_bytes: int
    event: str

    @classmethod
    def of(cls, event: StreamEvent) -> "Head":
        """Take the facts from the newest event."""
        return cls(event.event_id.stream_seq, event.run_seq, event.total_bytes, event.event)

    @property
    def is_terminal(self) -> bool:
        """Whether nothing may follow."""
        return self.event in TERMINAL_EVENTS or self.event == DELETED

    def after(self, flight: "Flight", first_seq: int) -> "Head":
        """Return the head once ``flight`` is stored with its first event at ``first_seq``."""
        count = len(flight.events)
        size = sum(len(event.payload) for event in flight.events)
        return Head(
            first_seq + count - 1,
            self.run_seq + count,
            self.total_bytes + size,
            flight.events[-1].event,
        )


#: Where a run's first event goes.
NOTHING: Final = Head(0, 0, 0, "")


@dataclass(frozen=True, slots=True)
class Flight:
    """Events, the place they go to, and the mark of who sent them."""

    subject: str
    run_id: str
    events: Sequence[NewEvent]
    predecessor: Head
    writer: str
    _headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def first_run_seq(self) -> int:
        """The run_seq of the first event."""
        return self.predecessor.run_seq + 1

    def headers(self) -> list[dict[str, str]]:
        """Return each event's headers; built once."""
        if not self._headers:
            total = self.predecessor.total_bytes
            for run_seq, event in enumerate(self.events, self.first_run_seq):
                total += len(event.payload)
                self._headers.append(
                    wire.encode_headers(
                        event, run_seq=run_seq, total_bytes=total, writer=self.writer
                    )
                )
            first = self._headers[0]
            first[wire.EXPECTED_SUBJECT_SEQUENCE] = str(self.predecessor.stream_seq)
            if self.events[0].event_id is not None:
                first[wire.MESSAGE_ID] = wire.message_id(self.run_id, self.events[0].event_id)
        return self._headers

    async def send(self, connection: Connection) -> Ack:
        """Send once.

        Returns:
            The acknowledgement, with the sequence of the *first* event.

        Raises:
            SilenceError: No answer.
            ApiError: Refused; nothing of it is stored.
        """
        headers = self.headers()
        if len(self.events) == 1:
            return await publish_once(connection, self.subject, self.events[0].payload, headers[0])
        batch_id = uuid4().hex
        last = len(self.events) - 1
        for index, (event, described) in enumerate(zip(self.events, headers, strict=True)):
            batched = {
                **described,
                wire.BATCH_ID: batch_id,
                wire.BATCH_SEQUENCE: str(index + 1),
            }
            if index < last:
                await connection.publish(self.subject, event.payload, headers=batched)
        batched[wire.BATCH_COMMIT] = "1"
        ack = await publish_once(connection, self.subject, self.events[last].payload, batched)
        return Ack(ack.seq - last, ack.duplicate)

    def find_first(self, successor: StreamEvent) -> int | None:
        """Tell from the event behind the predecessor whether this flight was stored.

        Returns:
            The stream sequence of its first event, or ``None`` when another writer came first.
        """
        behind = successor.run_seq - self.first_run_seq
        if successor.writer != self.writer or not 0 <= behind < len(self.events):
            return None
        # An atomic batch occupies consecutive sequences; its first events may be trimmed already.
        return successor.event_id.stream_seq - behind
