"""Look over all runs of the log, one part at a time, by their newest events.

The log itself is the only index of runs. It is read in 64 parts, the shards, and within a shard by
at most 512 runs a request, so that no step costs more than its share of the runs.
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from bridge import wire
from bridge.errors import ForeignMessageError
from bridge.events import StreamEvent
from bridge.retention.seal import first_kept
from bridge.stream_reader import MAX_SUBJECTS, StoredMessage, StreamReader
from bridge.subjects import RunRef, Subjects
from bridge.wire import decode_event


class Sighting(NamedTuple):
    """One run as a survey saw it.

    Attributes:
        newest: Its newest event; on a cluster perhaps a moment old.
        messages: How many of its events the log holds.
        stored_at: When the server stored the newest event.
    """

    newest: StreamEvent
    messages: int
    stored_at: datetime

    @property
    def run(self) -> RunRef:
        """The run."""
        return self.newest.run

    @property
    def holds_more_than_its_end(self) -> bool:
        """Whether events may leave when only what says how it ended shall stay."""
        return self.messages > self.newest.run_seq - first_kept(self.newest).run_seq + 1


class Survey:
    """Reads the newest events of runs.

    Args:
        reader: Reads the events stream.
        subjects: Spells the subjects.
    """

    def __init__(self, reader: StreamReader, subjects: Subjects) -> None:
        self._reader = reader
        self._subjects = subjects

    async def shard(self, shard: str) -> AsyncGenerator[list[Sighting]]:
        """Yield the runs of a shard in pages, in no particular order; deleted ones, too.

        A run whose newest message is no event that this version reads is passed over.

        Raises:
            UnavailableError: The server fell silent.
        """
        counts = await self._reader.subjects(self._subjects.shard_events(shard))
        names = iter(counts)
        while page := list(islice(names, MAX_SUBJECTS)):
            messages = await self._reader.read_last(page)
            found = [self._see(message, counts[message.subject]) for message in messages]
            yield [sighting for sighting in found if sighting is not None]

    def _see(self, message: StoredMessage, count: int) -> Sighting | None:
        run = self._subjects.run_of(message.subject)
        with suppress(ForeignMessageError):  # whoever reads the run is told
            newest = decode_event(run, message.seq, message.headers, message.payload)
            stored_at = datetime.fromisoformat(message.headers[wire.STORED_AT])
            return Sighting(newest, count, stored_at)
        return None
