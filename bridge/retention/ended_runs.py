"""Let the events of ended runs leave the log: what stays is how each run ended, and its result.

Only what has ended leaves, and where an archive is written only what it holds. A live run is never
touched, whatever its age. The terminal event is the seal and stays, and so do the final values that
it names.
"""

import asyncio
import logging
from collections import OrderedDict
from datetime import UTC, datetime

from bridge.event_log import EventLog
from bridge.events import DELETED
from bridge.retention.archived_floor import ArchivedFloor
from bridge.retention.readership import Readership
from bridge.retention.seal import first_kept
from bridge.retention.survey import Sighting, Survey
from bridge.settings import RetentionSettings

_LOG = logging.getLogger("jetrun.retention")


class EndedRuns:
    """Visits ended runs, and lets them go when their time has come.

    Args:
        log: The events of all runs.
        survey: Finds the runs.
        readers: Tells which runs are being read.
        settings: When they leave.
        floor: What the archive holds; ``None`` when there is none.
        max_remembered: Runs of which it is remembered when they were last read.
    """

    def __init__(
        self,
        log: EventLog,
        survey: Survey,
        readers: Readership,
        settings: RetentionSettings,
        floor: ArchivedFloor | None,
        *,
        max_remembered: int,
    ) -> None:
        self._log = log
        self._survey = survey
        self._readers = readers
        self._settings = settings
        self._floor = floor
        self._max_remembered = max_remembered
        self._read_at: OrderedDict[str, float] = OrderedDict()

    async def visit(self, shard: str) -> None:
        """Look at the runs of one shard, and let go what is due; linear in them.

        Raises:
            UnavailableError: The server fell silent; what is left is done at the next visit.
            OSError: The archive cannot be read; likewise.
        """
        async for page in self._survey.shard(shard):
            due = [sighting for sighting in page if self._is_due(sighting)]
            if not due:
                continue
            read = await self._readers.find_read([sighting.run for sighting in due])
            for sighting in due:
                if self._may_leave(sighting, is_read=sighting.newest.run_id in read):
                    await self._let_go(sighting)

    def _is_due(self, sighting: Sighting) -> bool:
        newest = sighting.newest
        return (
            newest.is_terminal
            and newest.event != DELETED
            and sighting.holds_more_than_its_end
            and _age_s(sighting) >= min(self._settings.orphan_timeout_s, self._settings.max_age_s)
        )

    def _may_leave(self, sighting: Sighting, *, is_read: bool) -> bool:
        limits, run_id, age_s = self._settings, sighting.newest.run_id, _age_s(sighting)
        now = asyncio.get_running_loop().time()
        if age_s >= limits.max_age_s:
            return True
        if is_read:
            self._read_at[run_id] = now
            self._read_at.move_to_end(run_id)
            if len(self._read_at) > self._max_remembered:
                self._read_at.popitem(last=False)
            return False
        unread_s = min(age_s, now - self._read_at.get(run_id, float("-inf")))
        return age_s >= limits.terminal_ttl_s or unread_s >= limits.orphan_timeout_s

    async def _let_go(self, sighting: Sighting) -> None:
        newest, run = sighting.newest, sighting.run
        if self._floor is not None and await self._floor.archived_run_seq(run) < newest.run_seq:
            _LOG.debug("retention.not_archived", extra={"run_id": run.run_id})
            return
        self._read_at.pop(run.run_id, None)
        events = await self._log.run(run).purge(below_seq=first_kept(newest).stream_seq)
        _LOG.debug("retention.left", extra={"run_id": run.run_id, "events": events})


def _age_s(sighting: Sighting) -> float:
    return (datetime.now(UTC) - sighting.stored_at).total_seconds()
