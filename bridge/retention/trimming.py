"""Trim live runs: what exceeds a run's limits leaves in steps, and never before it is archived.

A purge costs the server about a millisecond, so it is not done for each event: a run is let grow
by a tenth beyond its limits, then cut back to them.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from bridge.event_log import EventLog
from bridge.events import StreamEvent
from bridge.retention.archived_floor import ArchivedFloor
from bridge.settings import RetentionSettings
from bridge.subjects import RunRef

_LOG = logging.getLogger("jetrun.trimming")

#: Steps in which a run is cut back, as parts of its limit.
STEPS: Final = 10


class Mark(NamedTuple):
    """A place in a run where it may be cut: this event and later ones stay."""

    stream_seq: int
    run_seq: int
    total_bytes: int


class Marks:
    """The places of one run where it may be cut, at most some twenty.

    Args:
        max_events: Newest events that always stay.
        max_bytes: Payload of the newest events that always stays.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._marks: deque[Mark] = deque()
        self._newest = Mark(0, 0, 0)

    def add(self, event: Mark) -> None:
        """Note an event of the run; older ones than the newest noted are passed over."""
        if event.run_seq <= self._newest.run_seq:
            return
        self._newest = event
        last = self._marks[-1] if self._marks else None
        if (
            last is None
            or event.run_seq - last.run_seq >= max(1, self._max_events // STEPS)
            or event.total_bytes - last.total_bytes >= max(1, self._max_bytes // STEPS)
        ):
            self._marks.append(event)

    def find_cut(self) -> Mark | None:
        """Return the newest place to cut at; ``None`` while the run is within its limits."""
        cut = None
        for mark in self._marks:
            is_beyond = (
                self._newest.run_seq - mark.run_seq >= self._max_events
                or self._newest.total_bytes - mark.total_bytes >= self._max_bytes
            )
            if not is_beyond:
                break
            cut = mark
        return cut

    def forget(self, cut: Mark) -> None:
        """Say that the run was cut there."""
        while self._marks and self._marks[0].run_seq <= cut.run_seq:
            self._marks.popleft()


class Trimmer:
    """Cuts runs that grow, told of each archived event by whoever writes the archive.

    What it remembers is bounded, and may be lost: a run that it meets anew is cut once it has
    grown by its limit again.

    Args:
        log: The events of all runs.
        settings: The limits of a run.
        floor: What the archive holds.
        max_runs: Runs that are remembered at one time.
    """

    def __init__(
        self, log: EventLog, settings: RetentionSettings, floor: ArchivedFloor, *, max_runs: int
    ) -> None:
        self._log = log
        self._settings = settings
        self._floor = floor
        self._max_runs = max_runs
        self._runs: OrderedDict[RunRef, Marks] = OrderedDict()

    async def note(self, events: Iterable[StreamEvent]) -> None:
        """Take note of events that are in the archive, and cut the runs that have grown too far.

        Args:
            events: Of any runs, each run's in its order.

        Raises:
            UnavailableError: The server fell silent; the cut is made after a later event.
            OSError: The archive cannot be read; likewise.
        """
        grown: dict[RunRef, Marks] = {}
        for event in events:
            run = event.run
            marks = grown[run] = self._marks(run)
            marks.add(Mark(*event.event_id, event.total_bytes))
        for run, marks in grown.items():
            cut = marks.find_cut()
            if cut is not None:
                await self._cut(run, marks, cut)

    def _marks(self, run: RunRef) -> Marks:
        marks = self._runs.get(run)
        if marks is None:
            limits = self._settings
            marks = self._runs[run] = Marks(limits.max_events_per_run, limits.max_bytes_per_run)
            if len(self._runs) > self._max_runs:
                self._runs.popitem(last=False)
        else:
            self._runs.move_to_end(run)
        return marks

    async def _cut(self, run: RunRef, marks: Marks, cut: Mark) -> None:
        archived = await self._floor.archived_run_seq(run)
        if archived < cut.run_seq - 1:
            facts = {"run_id": run.run_id, "archived": archived, "wanted": cut.run_seq - 1}
            _LOG.warning("trim.not_archived", extra=facts)
            return
        purged = await self._log.run(run).purge(below_seq=cut.stream_seq)
        marks.forget(cut)
        _LOG.debug("trim.done", extra={"run_id": run.run_id, "events": purged})
