"""What retention does for a process, by the role that it has."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from bridge.awaiting import AwaitingInput
from bridge.checkpoints.orphans import OrphanedParts
from bridge.connection import Connection
from bridge.coordination import StateRecords
from bridge.event_log import EventLog
from bridge.retention.archived_floor import ArchivedFloor
from bridge.retention.departure import Departure
from bridge.retention.ended_runs import EndedRuns
from bridge.retention.overflow import Overflow
from bridge.retention.readership import Readership
from bridge.retention.room import LogRoom
from bridge.retention.rounds import going_round
from bridge.retention.run_holders import NoHolders, RunHolders
from bridge.retention.shard_claims import ShardClaims
from bridge.retention.silent_runs import SilentRuns
from bridge.retention.survey import Survey
from bridge.retention.trimming import Trimmer
from bridge.roll_call import RollCall
from bridge.seals import Seals
from bridge.settings import BridgeSettings
from bridge.subjects import Subjects

#: The claim of whoever makes room, beside those of the shards.
_ALL: Final = "all"


class Retention:
    """The sweeps of one process; each role runs those that it can answer for.

    Args:
        connection: An open connection.
        log: The events of all runs.
        states: The records that processes agree on.
        seals: Keeps what is left of runs that have left the log.
        survey: Finds the runs.
        room: Knows how full the log is.
        orphans: Removes what is left of checkpoints that were never whole.
        settings: The limits.
    """

    def __init__(  # noqa: PLR0913 - the collaborators of all sweeps; made in one place
        self,
        connection: Connection,
        log: EventLog,
        states: StateRecords,
        *,
        seals: Seals,
        survey: Survey,
        room: LogRoom,
        orphans: OrphanedParts,
        settings: BridgeSettings,
    ) -> None:
        self._connection = connection
        self._log = log
        self._states = states
        self._seals = seals
        self._survey = survey
        self._room = room
        self._orphans = orphans
        self._settings = settings
        subjects = Subjects(settings.log.prefix)
        roll_call = RollCall(connection, subjects.readers)
        self._readers = Readership(connection, subjects, roll_call)

    def trimmer(self, floor: ArchivedFloor) -> Trimmer:
        """Make what cuts growing runs, for the process that writes the archive.

        Args:
            floor: What the archive holds; nothing else leaves.
        """
        max_runs = self._settings.log.max_cached_runs
        return Trimmer(self._log, self._settings.retention, floor, max_runs=max_runs)

    @asynccontextmanager
    async def letting_go(self, floor: ArchivedFloor | None) -> AsyncGenerator[None]:
        """Let ended runs leave in time, and earlier when there is no room; for one process.

        Args:
            floor: What the archive holds; nothing else leaves. ``None`` when there is no archive.
        """
        ended, overflow = self._ended_runs(floor), self._overflow(floor)

        async def visit(shard: str) -> None:
            await overflow.relieve()
            await ended.visit(shard)

        async with going_round(visit, self._settings.retention.sweep_interval_s):
            yield

    @asynccontextmanager
    async def sweeping(self, holders: RunHolders | None = None) -> AsyncGenerator[None]:
        """End silent runs that nobody holds, for the length of a context.

        Any number of processes may do so; they share the work. They also remove what is left of
        checkpoints that were never whole. In the ``cache`` profile they let ended runs leave, too.

        Args:
            holders: Who holds runs; ``None`` when nobody does but their publishers.
        """
        interval_s = self._settings.retention.sweep_interval_s
        claims = ShardClaims(self._states, interval_s)
        silent = self._silent_runs(holders or NoHolders())
        is_cache = self._settings.log.profile == "cache"
        ended, overflow = self._ended_runs(None), self._overflow(None)

        async def visit(shard: str) -> None:
            if is_cache and overflow.is_needed and await claims.claim(_ALL):
                await overflow.relieve()
            if await claims.claim(shard):
                await silent.visit(shard)
                await self._orphans.visit(shard)
                if is_cache:
                    await ended.visit(shard)

        async with going_round(visit, interval_s):
            yield

    def _ended_runs(self, floor: ArchivedFloor | None) -> EndedRuns:
        return EndedRuns(
            self._log,
            self._survey,
            self._readers,
            self._settings.retention,
            floor,
            max_remembered=self._settings.log.max_cached_runs,
        )

    def _overflow(self, floor: ArchivedFloor | None) -> Overflow:
        return Overflow(
            self._log,
            Departure(self._log, self._states, self._seals),
            self._survey,
            self._readers,
            self._room,
            floor,
            interval_s=self._settings.retention.sweep_interval_s,
        )

    def _silent_runs(self, holders: RunHolders) -> SilentRuns:
        return SilentRuns(
            self._connection,
            self._log,
            self._survey,
            awaiting=AwaitingInput(self._states),
            holders=holders,
            settings=self._settings.retention,
            max_remembered=self._settings.log.max_cached_runs,
        )
