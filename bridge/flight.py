"""A frozen set of events on its way into the log: one publish, or one atomic batch.

A flight never changes once sent. Sent again, it is the same messages at the same place, so the
server stores it at most once, whatever got lost on the way.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from secrets import token_hex
from typing import Final, NamedTuple

from bridge import wire
from bridge.connection import Connection
from bridge.events import DELETED, TERMINAL_EVENTS, NewEvent, StreamEvent
from bridge.publication import Ack, read_ack

#: The server takes no larger batch.
MAX_BATCH_EVENTS: Final = 1000


class Head(NamedTuple):
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


#: Where a run's first event goes.
NOTHING: Final = Head(0, 0, 0, "")


class Flight:
    """Events, the place they go to, and the mark of who sent them.

    Args:
        subject: The run's subject.
        run_id: The run.
        events: What is stored, all or none.
        predecessor: The event that must be the newest.
        writer: The mark of who sent it.
    """

    __slots__ = ("_message_id", "_subject", "events", "predecessor", "writer")

    def __init__(
        self, subject: str, run_id: str, events: Sequence[NewEvent], predecessor: Head, writer: str
    ) -> None:
        self._subject = subject
        self.events = events
        self.predecessor = predecessor
        self.writer = writer
        event_id = events[0].event_id
        self._message_id = None if event_id is None else wire.message_id(run_id, event_id)

    @property
    def first_run_seq(self) -> int:
        """The run_seq of the first event."""
        return self.predecessor.run_seq + 1

    def head(self, first_seq: int) -> Head:
        """Return the run's head once this is stored with its first event at ``first_seq``."""
        _, run_seq, total_bytes, _ = self.predecessor
        for event in self.events:
            total_bytes += len(event.payload)
        count = len(self.events)
        return Head(first_seq + count - 1, run_seq + count, total_bytes, self.events[-1].event)

    async def send(self, connection: Connection) -> Ack:
        """Send once.

        Returns:
            The acknowledgement, with the sequence of the *first* event.

        Raises:
            SilenceError: No answer.
            ApiError: Refused; nothing of it is stored.
        """
        last = len(self.events) - 1
        # Encoded as they are sent: the server works on the first while the rest is encoded.
        lines = self._encode()
        place = self._send_all_but_last(connection, lines) if last else b""
        payload = self.events[last].payload
        message = await connection.request(self._subject, payload, headers=next(lines) + place)
        ack = read_ack(message.data)
        return Ack(ack.seq - last, ack.duplicate) if last else ack

    def _encode(self) -> Iterator[bytes]:
        """Yield the headers of each event; the first ones say where the flight belongs."""
        run_seq, total_bytes = self.predecessor.run_seq, self.predecessor.total_bytes
        demands = wire.encode_expected(self.predecessor.stream_seq)
        if self._message_id is not None:
            demands += wire.encode_headers({wire.MESSAGE_ID: self._message_id})
        for event in self.events:
            run_seq += 1
            total_bytes += len(event.payload)
            yield wire.encode_event(event, run_seq, total_bytes, self.writer) + demands
            demands = b""

    def _send_all_but_last(self, connection: Connection, lines: Iterator[bytes]) -> bytes:
        """Begin a new batch; return what the last message must carry to commit it."""
        batch_id = token_hex(8)
        last = len(self.events) - 1
        for number, event in enumerate(islice(self.events, last), 1):
            headers = next(lines) + wire.encode_batch_place(batch_id, number)
            connection.publish(self._subject, event.payload, headers=headers)
        return wire.encode_batch_place(batch_id, last + 1, is_last=True)

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
