"""Make room before the log is full: the runs that ended first leave first.

Two things can run short. Where the number of runs does, ended runs leave altogether. Where bytes
do, the events of ended runs leave before their time, and what says how they ended stays; only when
that is not enough, ended runs leave altogether for bytes, too. Live runs, runs that are read, and
runs that the archive does not hold stay in any case.
"""

import asyncio
import heapq
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from bridge.event_log import EventLog
from bridge.events import DELETED
from bridge.ids import SHARDS, shard_token
from bridge.retention.archived_floor import ArchivedFloor
from bridge.retention.departure import Departure
from bridge.retention.readership import Readership
from bridge.retention.room import LogRoom
from bridge.retention.seal import first_kept
from bridge.retention.survey import Sighting, Survey
from bridge.stream_reader import MAX_SUBJECTS

#: Ended runs that one search remembers; those that ended first.
MAX_CANDIDATES: Final = 4 * MAX_SUBJECTS


class Overflow:
    """Searches the log for what may leave, when it must.

    Args:
        log: The events of all runs.
        departure: Lets runs leave altogether.
        survey: Finds the runs.
        readers: Tells which runs are being read.
        room: Knows how full the log is.
        floor: What the archive holds; ``None`` when there is none.
        interval_s: Seconds between two searches that are in vain.
    """

    def __init__(  # noqa: PLR0913 - the collaborators of one sweep; made in one place
        self,
        log: EventLog,
        departure: Departure,
        survey: Survey,
        readers: Readership,
        room: LogRoom,
        floor: ArchivedFloor | None,
        *,
        interval_s: float,
    ) -> None:
        self._interval_s = interval_s
        self._not_before = 0.0
        self._log = log
        self._departure = departure
        self._survey = survey
        self._readers = readers
        self._room = room
        self._floor = floor

    @property
    def is_needed(self) -> bool:
        """Whether the log is nearly full, as of the last look, and a search is not in vain."""
        now = asyncio.get_running_loop().time()
        return self._room.is_nearly_full and now >= self._not_before

    async def relieve(self) -> None:
        """Make room when the log is nearly full; one search of all runs, shard by shard.

        After a search that found nothing to let go, the next one waits for an interval.

        Raises:
            UnavailableError: The server fell silent; call again.
            OSError: The archive cannot be read; call again.
        """
        if not self.is_needed:
            return
        await self._room.look()
        self._not_before = asyncio.get_running_loop().time() + self._interval_s
        shortened = 0
        async for sighting in self._oldest():
            if self._room.surplus_runs > 0:
                await self._remove(sighting)
            elif self._room.surplus_bytes > 0:
                shortened += await self._shorten(sighting)
            else:
                break
        if not shortened and self._room.may_forget_runs:
            await self._remove_for_bytes()

    async def _remove_for_bytes(self) -> None:
        """Let runs go of which only their end is left, when that still takes too much."""
        if self._room.surplus_bytes <= 0:
            return
        async for sighting in self._oldest():
            await self._remove(sighting)
            if self._room.surplus_bytes <= 0:
                break

    async def _oldest(self) -> AsyncGenerator[Sighting]:
        """Yield ended runs that may leave, those first that ended first."""
        oldest: list[Sighting] = []
        for number in range(SHARDS):
            async for page in self._survey.shard(shard_token(number)):
                ended = [each for each in page if _has_ended(each)]
                oldest = heapq.nsmallest(MAX_CANDIDATES, [*oldest, *ended], key=_end_of)
        for start in range(0, len(oldest), MAX_SUBJECTS):
            part = oldest[start : start + MAX_SUBJECTS]
            for sighting in await self._unread(part):
                if await self._is_archived(sighting):
                    yield sighting

    async def _unread(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        read = await self._readers.find_read([each.run for each in sightings])
        return [each for each in sightings if each.newest.run_id not in read]

    async def _is_archived(self, sighting: Sighting) -> bool:
        if self._floor is None:
            return True
        return await self._floor.archived_run_seq(sighting.run) >= sighting.newest.run_seq

    async def _shorten(self, sighting: Sighting) -> bool:
        """Let the events of a run go, but for its end; return whether there were any."""
        if not sighting.holds_more_than_its_end:
            return False
        below_seq = first_kept(sighting.newest).stream_seq
        await self._log.run(sighting.run).purge(below_seq=below_seq)
        await self._note_room()
        return True

    async def _remove(self, sighting: Sighting) -> None:
        await self._departure.remove(sighting.newest)
        await self._note_room()

    async def _note_room(self) -> None:
        # Asked, not reckoned: what a run has emitted says nothing of what the log still held of
        # it, and room that is only believed in is given away at once.
        self._not_before = 0.0
        await self._room.look()


def _has_ended(sighting: Sighting) -> bool:
    return sighting.newest.is_terminal and sighting.newest.event != DELETED


def _end_of(sighting: Sighting) -> int:
    return sighting.newest.event_id.stream_seq
