"""What left the log before a subscription came to it: read from the archive, or else counted.

A durable consumer passes over events that retention removed. The numbers of a run's events show
that, as long as it is known which one came last.
"""

from collections.abc import AsyncIterator
from typing import Final

from bridge import (
    EventId,
    GapReason,
    JetStreamBridge,
    RunRef,
    StreamEvent,
    StreamGap,
    StreamNotFoundError,
    parse_cursor,
)
from bridge.events import DELETED
from bridge.subscription import NOTHING, Handled

PAGE_EVENTS: Final = 500


class MissingEvents:
    """Watches the events of one connection for holes.

    Args:
        bridge: The log, with the archive behind it.
        handled: Up to here earlier connections had everything.
    """

    def __init__(self, bridge: JetStreamBridge, handled: Handled) -> None:
        self._bridge = bridge
        self._handled = handled
        #: The newest event of each run that is under way here; those that ended are left out.
        self._last: dict[str, EventId] = {}

    def note(self, event: StreamEvent) -> None:
        """Remember that an event was written."""
        if event.is_terminal:
            self._last.pop(event.run_id, None)
        else:
            self._last[event.run_id] = event.event_id

    async def before(self, event: StreamEvent) -> AsyncIterator[StreamEvent | StreamGap]:
        """Yield what belongs between the last event of a run that was written and ``event``.

        Raises:
            UnavailableError, ColdTierError: Log or archive cannot be read now.
        """
        if event.run_seq == 1 or event.event == DELETED:
            return
        last = self._last.get(event.run_id)
        if last is None:
            if await self._is_continued(event):
                return
            last = self._last_handled(event)
        async for item in self._between(last, event):
            yield item

    async def _is_continued(self, event: StreamEvent) -> bool:
        """Return whether the log still holds all that earlier connections did not have."""
        try:
            first = parse_cursor((await self._bridge.status(event.run_id)).first_id)
        except StreamNotFoundError:
            return True  # deleted meanwhile: there is nothing to miss
        return isinstance(first, EventId) and (
            first.run_seq == 1 or first.stream_seq <= self._handled.event_id.stream_seq
        )

    def _last_handled(self, event: StreamEvent) -> EventId | None:
        if self._handled in (NOTHING, (self._handled.event_id, event.run_id)):
            return self._handled.event_id
        return None  # of a thread only the very last event is known, which is of another run

    async def _between(
        self, last: EventId | None, event: StreamEvent
    ) -> AsyncIterator[StreamEvent | StreamGap]:
        # What was archived up to here was written to an earlier connection.
        done_seq = self._handled.event_id.stream_seq if last is None else last.stream_seq
        position = 0 if last is None else last.run_seq
        while position + 1 < event.run_seq:
            run = RunRef(event.thread_id, event.run_id)
            page = await self._bridge.read_archived(run, position, limit=PAGE_EVENTS)
            page = [each for each in page if each.run_seq < event.run_seq]
            if not page:
                break
            for each in page:
                position = each.run_seq
                if each.event_id.stream_seq > done_seq:
                    if gap := await self._gap(last, each):
                        yield gap
                    yield each
                last = each.event_id
        if gap := await self._gap(last, event):
            yield gap

    async def _gap(self, last: EventId | None, event: StreamEvent) -> StreamGap | None:
        missing = None if last is None else event.run_seq - last.run_seq - 1
        if missing == 0:
            return None
        try:
            latest = (await self._bridge.status(event.run_id)).last_id
        except StreamNotFoundError:
            return None
        return StreamGap(
            event.run_id,
            None if last is None else str(last),
            event.id,
            latest,
            missing,
            GapReason.UNKNOWN if missing is None else GapReason.EVICTED,
        )
