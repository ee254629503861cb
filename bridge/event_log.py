"""The stored events of all runs, as one ordered log."""

from bridge.events import StreamEvent
from bridge.run_log import RunLog
from bridge.seals import Seals
from bridge.stream_reader import StoredMessage, StreamReader
from bridge.subjects import RunRef, Subjects
from bridge.wire import decode_event


class EventLog:
    """Reads the stream of all runs.

    Args:
        reader: Reads the events stream.
        subjects: Spells the subjects.
        seals: Keeps what is left of runs that have left the log.
    """

    def __init__(self, reader: StreamReader, subjects: Subjects, seals: Seals) -> None:
        self._reader = reader
        self._subjects = subjects
        self._seals = seals

    def run(self, run: RunRef) -> RunLog:
        """Return the part of the log that is one run's."""
        return RunLog(self._reader, self._subjects, self._seals, run)

    async def find(self, stream_seq: int) -> StreamEvent | None:
        """Return the event with a stream sequence, of whichever run; ``None`` when it is gone."""
        message = await self._reader.find(stream_seq)
        return None if message is None else self._event(message)

    async def read_thread(self, thread_id: str, seq: int) -> tuple[list[StreamEvent], bool]:
        """Read a page of the events of all runs of a thread, from a stream sequence on.

        Returns:
            The events, and whether nothing more was there.
        """
        page = await self._reader.read(self._subjects.thread_events(thread_id), seq)
        return [self._event(message) for message in page.messages], page.complete

    async def find_next_of_thread(self, thread_id: str, seq: int) -> StreamEvent | None:
        """Return the first event of a thread at or above ``seq``, as the leader knows it."""
        found = await self._reader.find_next(self._subjects.thread_events(thread_id), max(seq, 1))
        return None if found is None else self._event(found)

    async def find_last_of_thread(self, thread_id: str) -> StreamEvent | None:
        """Return the newest event of a thread, as the leader knows it."""
        found = await self._reader.find_last(self._subjects.thread_events(thread_id))
        return None if found is None else self._event(found)

    def _event(self, message: StoredMessage) -> StreamEvent:
        run = self._subjects.run_of(message.subject)
        return decode_event(run, message.seq, message.headers, message.payload)

    async def list_runs(self, thread_id: str) -> list[str]:
        """Return the ids of a thread's runs, in no particular order; some deleted ones, too."""
        subjects = await self._reader.subjects(self._subjects.thread_events(thread_id))
        logged = {self._subjects.run_of(subject).run_id for subject in subjects}
        return list(logged.union(await self._seals.list_runs(thread_id)))

    async def last_sequence(self) -> int:
        """Return the sequence of the newest event that was ever stored; 0: none was."""
        return int((await self._reader.state())["last_seq"])
