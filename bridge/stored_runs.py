"""What the log and the archive hold of runs, for those who ask instead of following."""

from collections.abc import AsyncGenerator, Sequence

from bridge.awaiting import AwaitingInput
from bridge.cold_tier import ColdTier, find_archived
from bridge.errors import StreamNotFoundError
from bridge.event_log import EventLog
from bridge.events import DELETED, STATUS_OF_EVENT, StreamEvent, StreamInfo, StreamStatus
from bridge.ids import SHARDS, EventId, parse_cursor, shard_token
from bridge.retention.survey import Survey
from bridge.stats import StreamStats, Tally
from bridge.subjects import RunRef


class StoredRuns:
    """Reads runs, and cuts one when it is told to.

    Args:
        log: The events of all runs.
        survey: Finds the runs.
        awaiting: Tells which runs wait for their user.
        cold: The archive.
    """

    def __init__(
        self, log: EventLog, survey: Survey, awaiting: AwaitingInput, cold: ColdTier
    ) -> None:
        self._log = log
        self._survey = survey
        self._awaiting = awaiting
        self._cold = cold

    async def status(self, run: RunRef, *, subscribers: int) -> StreamInfo:
        """Read the state of a run's stream; see :meth:`StreamBridge.status`."""
        run_log = self._log.run(run)
        last = await run_log.last()
        first = await run_log.find_next(1)
        is_awaiting = await self._awaiting.is_marked(last)
        if first is None or last.event == DELETED:
            raise StreamNotFoundError(run.run_id)
        return StreamInfo(
            run_id=run.run_id,
            thread_id=run.thread_id,
            status=STATUS_OF_EVENT.get(last.event, StreamStatus.ACTIVE),
            first_id=first.id,
            last_id=last.id,
            event_count=last.run_seq,
            total_bytes=last.total_bytes,
            subscribers=subscribers,
            created_at=first.created_at,
            updated_at=last.created_at,
            terminal=last if last.is_terminal else None,
            awaiting_input=is_awaiting,
        )

    async def newest_events(self) -> AsyncGenerator[list[StreamEvent]]:
        """Yield the newest event of every run; see :meth:`JetStreamBridge.newest_events`."""
        for number in range(SHARDS):
            async for page in self._survey.shard(shard_token(number)):
                yield [sighting.newest for sighting in page]

    async def count(self, *, subscribers: int) -> StreamStats:
        """Count the runs of the log; linear in their number."""
        tally = Tally()
        async for page in self.newest_events():
            tally.add(page)
        return tally.stats(subscribers)

    async def find_event(self, run: RunRef, event_id: str) -> StreamEvent | None:
        """Return one event of a run by its id; ``None`` when neither log nor archive holds it."""
        cursor = parse_cursor(event_id)
        if not isinstance(cursor, EventId):
            return None
        event = await self._log.run(run).find(cursor.stream_seq)
        if event is None:
            event = await find_archived(self._cold, run, cursor.run_seq)
        return event if event is not None and event.event_id == cursor else None

    async def read_archived(
        self, run: RunRef, after_run_seq: int, *, limit: int
    ) -> Sequence[StreamEvent]:
        """Return the next archived events of a run; see :meth:`JetStreamBridge.read_archived`."""
        return await self._cold.read(run, after_run_seq=after_run_seq, limit=limit)

    async def read_after(
        self, run: RunRef, run_seq: int, *, stream_seq: int, limit: int
    ) -> list[StreamEvent]:
        """Read history in bulk; see :meth:`JetStreamBridge.read_after`."""
        run_log = self._log.run(run)
        found: list[StreamEvent] = []
        complete = False
        while not found and not complete:
            events, complete = await run_log.read(stream_seq + 1, limit)
            found = [event for event in events if event.run_seq > run_seq]
            stream_seq = events[-1].event_id.stream_seq if events else stream_seq
        return found

    async def is_logged(self, run: RunRef) -> bool:
        """Whether the log holds anything of a run; see :meth:`JetStreamBridge.is_logged`."""
        return await self._log.run(run).is_held()

    async def trim(self, run: RunRef, *, keep: int) -> int:
        """Evict all but the newest events of a run; see :meth:`JetStreamBridge.trim`."""
        run_log = self._log.run(run)
        if (await run_log.last()).event == DELETED:
            raise StreamNotFoundError(run.run_id)
        return await run_log.purge(keep=keep)
