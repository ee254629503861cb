"""A frozen set of events on its way into the log: one publish, or one atomic batch.

A flight never changes once sent. Sent again, it is the same messages at the same place, so the
server stores it at most once, whatever got lost on the way.
"""

from collections.abc import Sequence
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

    __slots__ = ("_headers", "_subject", "end", "events", "predecessor", "writer")

    def __init__(
        self, subject: str, run_id: str, events: Sequence[NewEvent], predecessor: Head, writer: str
    ) -> None:
        self._subject = subject
        self.events = events
        self.predecessor = predecessor
        self.writer = writer
        self._headers: list[bytes] = []
        run_seq, total = predecessor.run_seq, predecessor.total_bytes
        for event in events:
            run_seq += 1
            total += len(event.payload)
            self._headers.append(wire.encode_event(event, run_seq, total, writer))
        self.end = run_seq, total
        self._headers[0] += wire.encode_expected(predecessor.stream_seq)
        if events[0].event_id is not None:
            message_id = wire.message_id(run_id, events[0].event_id)
            self._headers[0] += wire.encode_headers({wire.MESSAGE_ID: message_id})

    @property
    def first_run_seq(self) -> int:
        """The run_seq of the first event."""
        return self.predecessor.run_seq + 1

    def head(self, first_seq: int) -> Head:
        """Return the run's head once this is stored with its first event at ``first_seq``."""
        run_seq, total_bytes = self.end
        last = len(self.events) - 1
        return Head(first_seq + last, run_seq, total_bytes, self.events[last].event)

    async def send(self, connection: Connection) -> Ack:
        """Send once.

        Returns:
            The acknowledgement, with the sequence of the *first* event.

        Raises:
            SilenceError: No answer.
            ApiError: Refused; nothing of it is stored.
        """
        last = len(self.events) - 1
        headers = self._headers[last]
        if last:
            headers += self._send_all_but_last(connection)
        payload = self.events[last].payload
        message = await connection.request(self._subject, payload, headers=headers)
        ack = read_ack(message.data)
        return Ack(ack.seq - last, ack.duplicate) if last else ack

    def _send_all_but_last(self, connection: Connection) -> bytes:
        """Begin a new batch; return what the last message must carry to commit it."""
        batch_id = token_hex(8)
        last = len(self.events) - 1
        for index in range(last):
            headers = self._headers[index] + wire.encode_batch_place(batch_id, index + 1)
            connection.publish(self._subject, self.events[index].payload, headers=headers)
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
