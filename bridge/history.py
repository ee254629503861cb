"""What one run has emitted, from whichever tier still holds it: the log, or else the archive.

The log is asked first. What leaves it later than that is archived already, so an event that neither
answer holds is held by nobody.
"""

import sys
from collections.abc import Sequence
from typing import Final

from bridge.cold_tier import ColdTier, find_archived
from bridge.errors import StreamNotFoundError
from bridge.event_log import EventLog
from bridge.events import DELETED, StreamEvent
from bridge.ids import EventId
from bridge.run_log import RunLog

#: Where the log of a run begins that has left it entirely.
_NOWHERE: Final = sys.maxsize


class RunHistory:
    """Reads one run for one reader, page by page.

    Args:
        log: The events of all runs, to tell a foreign event from a lost one.
        run_log: The run's events in the log.
        cold: The archive.
    """

    def __init__(self, log: EventLog, run_log: RunLog, cold: ColdTier) -> None:
        self._log = log
        self._run_log = run_log
        self._cold = cold
        self._log_begins = 1

    async def earliest(self, log_page: Sequence[StreamEvent]) -> EventId:
        """Return the first event that either tier holds.

        Args:
            log_page: The first events of the run in the log; none when the run has left it.

        Raises:
            StreamNotFoundError: Neither tier holds any.
        """
        self._log_begins = log_page[0].run_seq if log_page else _NOWHERE
        if self._log_begins > 1:
            archived = await self._cold.read(self._run_log.run, after_run_seq=0, limit=1)
            if archived and archived[0].run_seq < self._log_begins:
                return archived[0].event_id
        if not log_page:
            raise StreamNotFoundError(self._run_log.run.run_id)
        return log_page[0].event_id

    async def find(self, event_id: EventId) -> StreamEvent | None:
        """Return what stands at the place of an event id: the event, or one that contradicts it.

        Returns:
            The event at that stream sequence, of whichever run; when it has left the log, the
            event that the archive holds under that number of this run; ``None`` when both have
            nothing.
        """
        found = await self._log.find(event_id.stream_seq)
        if found is not None:
            return found
        return await find_archived(self._cold, self._run_log.run, event_id.run_seq)

    async def last(self) -> StreamEvent:
        """Return the newest event.

        Raises:
            StreamNotFoundError: Neither tier holds any.
        """
        newest = await self._run_log.find_last() or await self._cold.find_last(self._run_log.run)
        if newest is None:
            raise StreamNotFoundError(self._run_log.run.run_id)
        return newest

    async def read(self, after: EventId, limit: int) -> tuple[Sequence[StreamEvent], bool]:
        """Read the page that follows an event.

        Returns:
            Events of one tier, ascending, and whether nothing more was there. When the first one
            is not the next number of the run, then no tier holds those in between, or the run was
            deleted.
        """
        following = after.run_seq + 1
        if following < self._log_begins and (archived := await self._archived(after, limit)):
            return archived, False
        events, complete = await self._run_log.read(after.stream_seq + 1, limit)
        if events and events[0].run_seq > following and events[0].event != DELETED:
            self._log_begins = events[0].run_seq
            if archived := await self._archived(after, limit):
                return archived, False
        return events, complete

    async def _archived(self, after: EventId, limit: int) -> Sequence[StreamEvent]:
        archived = await self._cold.read(
            self._run_log.run, after_run_seq=after.run_seq, limit=limit
        )
        return [event for event in archived if event.run_seq < self._log_begins]
