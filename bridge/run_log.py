"""The stored events of one run: single ones at the leader for decisions, pages for history.

Of a run that has left the log altogether its seal is read, as the last event of the run.
"""

from collections.abc import AsyncIterator, Sequence

from bridge.errors import ConflictError, StreamNotFoundError
from bridge.events import BIRTH, StreamEvent
from bridge.ids import EventId
from bridge.seals import Seals
from bridge.stream_reader import MAX_PAGE_MESSAGES, StoredMessage, StreamReader
from bridge.subjects import RunRef, Subjects
from bridge.wire import decode_event


class RunLog:
    """Reads one run.

    Args:
        reader: Reads the stream of all runs.
        subjects: Spells the run's subject.
        seals: Keeps what is left of runs that have left the log.
        run: The run.
    """

    def __init__(self, reader: StreamReader, subjects: Subjects, seals: Seals, run: RunRef) -> None:
        self._reader = reader
        self._seals = seals
        self.run = run
        self.subject = subjects.event(run)

    def _event(self, message: StoredMessage) -> StreamEvent:
        return decode_event(self.run, message.seq, message.headers, message.payload)

    async def find_last(self) -> StreamEvent | None:
        """Return the newest event as the leader knows it; ``None`` when nobody created the run."""
        found = await self._find_newest()
        return None if found is None else found[0]

    async def last(self) -> StreamEvent:
        """Return the newest event as the leader knows it.

        Raises:
            StreamNotFoundError: Nobody created the run.
        """
        event = await self.find_last()
        if event is None:
            raise StreamNotFoundError(self.run.run_id)
        return event

    async def is_held(self) -> bool:
        """Whether the log itself holds anything of the run, beside how it ended."""
        return await self._reader.find_last(self.subject) is not None

    async def newest(self) -> tuple[StreamEvent, int]:
        """Return the newest event, and the sequence that the next publish has to expect.

        It is the event's own, and 0 once the run has left the log.

        Raises:
            StreamNotFoundError: Nobody created the run.
        """
        found = await self._find_newest()
        if found is None:
            raise StreamNotFoundError(self.run.run_id)
        return found

    async def _find_newest(self) -> tuple[StreamEvent, int] | None:
        message = await self._reader.find_last(self.subject)
        if message is not None:
            return self._event(message), message.seq
        seal = await self._seals.find(self.run)
        return None if seal is None else (seal, 0)

    async def find_next(self, seq: int) -> StreamEvent | None:
        """Return the first event at or above a stream sequence, as the leader knows it."""
        message = await self._reader.find_next(self.subject, max(seq, 1))
        return await self._find_seal(seq) if message is None else self._event(message)

    async def find_around(self, seq: int) -> tuple[StreamEvent, StreamEvent] | None:
        """Return the events before and behind a stream sequence that is not this run's.

        The one before is looked for by halving: the server finds the next message only.

        Returns:
            ``None`` when the run has none on one side.
        """
        before, behind = await self.find_next(1), await self.find_next(seq + 1)
        if before is None or behind is None or before.event_id.stream_seq > seq:
            return None
        unread_from, unread_below = before.event_id.stream_seq + 1, seq
        while unread_from < unread_below:
            middle = (unread_from + unread_below) // 2
            found = await self.find_next(middle)
            if found is not None and found.event_id.stream_seq < seq:
                before, unread_from = found, found.event_id.stream_seq + 1
            else:
                unread_below = middle
        return before, behind

    async def _find_seal(self, seq: int) -> StreamEvent | None:
        """Return the seal of a run that has left, when it stood at or above a sequence."""
        seal = await self._seals.find(self.run)
        return seal if seal is not None and seal.event_id.stream_seq >= seq else None

    async def find(self, seq: int) -> StreamEvent | None:
        """Return the event with a stream sequence, when it is this run's."""
        message = await self._reader.find(seq)
        if message is None:
            seal = await self._find_seal(seq)
            return seal if seal is not None and seal.event_id.stream_seq == seq else None
        return self._event(message) if message.subject == self.subject else None

    async def read(
        self, seq: int, limit: int = MAX_PAGE_MESSAGES
    ) -> tuple[Sequence[StreamEvent], bool]:
        """Read a page of history from a stream sequence on.

        Returns:
            The events, and whether nothing more was there.
        """
        page = await self._reader.read(self.subject, seq, limit)
        if not page.messages and page.complete:
            seal = await self._find_seal(seq)
            return ([] if seal is None else [seal]), True
        return [self._event(message) for message in page.messages], page.complete

    async def purge(self, *, keep: int = 0, below_seq: int = 0) -> int:
        """Remove the run's oldest events; the newest one must stay, or its end is unguarded.

        Args:
            keep: How many of the newest events stay.
            below_seq: The first stream sequence that stays, instead of ``keep``.

        Returns:
            How many events went.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        return await self._reader.purge(self.subject, keep=keep, below_seq=below_seq)

    async def id_at(self, seq: int) -> EventId:
        """Return the id of an event that the server called a duplicate.

        Raises:
            ConflictError: It is gone, or belongs to another run.
        """
        event = await self.find(seq)
        if event is None:
            raise ConflictError(f"the event stored first at {seq} is no longer in the log")
        return event.event_id

    async def newest_attempt(self) -> tuple[StreamEvent, StreamEvent | None]:
        """Return the newest event, and the newest ``metadata`` event.

        The second is ``None`` when every attempt has left the log: it then does not know which one
        writes the run.

        Raises:
            StreamNotFoundError: Nobody created the run.
        """
        newest = await self.last()
        if newest.event == BIRTH:
            return newest, newest
        begun = None
        async for event in self.span(1, newest.event_id.stream_seq):
            if event.event == BIRTH:
                begun = event
        return newest, begun

    async def span(self, first_seq: int, last_seq: int) -> AsyncIterator[StreamEvent]:
        """Yield the events within a span of the stream that are still there, in order."""
        while first_seq <= last_seq:
            events, _ = await self.read(first_seq)
            if not events:
                return
            for event in events:
                if event.event_id.stream_seq > last_seq:
                    return
                yield event
            first_seq = events[-1].event_id.stream_seq + 1


def attempt_of(begun: StreamEvent) -> int:
    """Return the attempt that began with a ``metadata`` event."""
    return int(begun.data["attempt"])
