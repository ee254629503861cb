"""The stored events of all runs, as one ordered log."""

from bridge.events import StreamEvent
from bridge.run_log import RunLog
from bridge.seals import Seals
from bridge.stream_reader import StreamReader
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
        if message is None:
            return None
        run = self._subjects.run_of(message.subject)
        return decode_event(run, message.seq, message.headers, message.payload)

    async def list_runs(self, thread_id: str) -> list[str]:
        """Return the ids of a thread's runs, in no particular order; some deleted ones, too."""
        subjects = await self._reader.subjects(self._subjects.thread_events(thread_id))
        logged = {self._subjects.run_of(subject).run_id for subject in subjects}
        return list(logged.union(await self._seals.list_runs(thread_id)))

    async def bounds(self) -> tuple[int, int]:
        """Return the first and the last stream sequence; both 0 while the log is empty."""
        state = await self._reader.state()
        return state["first_seq"], state["last_seq"]
