"""Bring runs into being, once: not beyond what the log may hold, and not after they have left."""

import asyncio
from collections import OrderedDict
from typing import Final, NamedTuple

from bridge.errors import StreamTerminatedError
from bridge.event_log import EventLog
from bridge.events import DELETED
from bridge.ids import EventId
from bridge.lifecycle import attempt_event
from bridge.retention.room import LogRoom
from bridge.run_refs import RunRefs
from bridge.seals import Seals
from bridge.subjects import RunRef
from bridge.writers import RunWriters

#: Claims ahead of a birth that this process remembers; without one the birth claims.
_MAX_CLAIMED: Final = 1024


class _Claim(NamedTuple):
    """What was found when a run was claimed.

    Attributes:
        is_ours: Whether nobody had claimed it.
        since_s: When the claim began, on the event loop's clock.
    """

    is_ours: bool
    since_s: float


class Births:
    """Creates runs.

    Args:
        log: The events of all runs.
        writers: Append the first event.
        refs: Says whose a run is, and which were deleted.
        seals: Says which runs have left the log.
        room: Knows how many runs the log may hold.
        prompt_s: Seconds within which nothing can happen to a run that nobody had before.
    """

    def __init__(
        self,
        log: EventLog,
        writers: RunWriters,
        refs: RunRefs,
        seals: Seals,
        room: LogRoom,
        *,
        prompt_s: float,
    ) -> None:
        self._log = log
        self._writers = writers
        self._refs = refs
        self._seals = seals
        self._room = room
        self._prompt_s = prompt_s
        self._claimed: OrderedDict[RunRef, _Claim] = OrderedDict()

    async def claim(self, run: RunRef) -> None:
        """Note whose a run is, ahead of its birth; see :meth:`RunBridge.claim`."""
        self._claimed[run] = await self._claim(run)
        if len(self._claimed) > _MAX_CLAIMED:
            self._claimed.popitem(last=False)

    async def disclaim(self, run: RunRef) -> None:
        """Take a claim back; see :meth:`RunBridge.disclaim`."""
        self._claimed.pop(run, None)
        record = await self._refs.find_record(run.run_id)
        if record is not None:
            await self._refs.delete(record)

    async def create(self, run: RunRef) -> EventId:
        """Bring a run's stream into being; see :meth:`StreamBridge.create`."""
        claim = self._claimed.pop(run, None) or await self._claim(run)
        birth = await self._writers.of(run).create(attempt_event(run))
        took_s = asyncio.get_running_loop().time() - claim.since_s
        if not claim.is_ours or took_s > self._prompt_s:
            # A run that leaves altogether leaves an empty log, in which a creator that had looked
            # before could give birth to it again.
            await self._refuse_departed(run, birth)
        self._room.count_run()
        return birth

    async def _claim(self, run: RunRef) -> _Claim:
        if not self._room.has_room_for_run:
            await self._refuse_new(run)
        since_s = asyncio.get_running_loop().time()
        is_ours = await self._refs.claim(run)
        if not is_ours:
            await self._refuse_departed(run)
        return _Claim(is_ours, since_s)

    async def _refuse_departed(self, run: RunRef, birth: EventId | None = None) -> None:
        seal = await self._seals.find(run)
        is_deleted = seal is None and await self._refs.is_deleted(run.run_id)
        if seal is None and not is_deleted:
            return
        if birth is not None:
            await self._log.run(run).purge(below_seq=birth.stream_seq + 1)
        if is_deleted:
            self._refs.forget(run.run_id)
        raise StreamTerminatedError(run.run_id, DELETED if seal is None else seal.event)

    async def _refuse_new(self, run: RunRef) -> None:
        is_known = await self._refs.find_record(run.run_id) is not None
        if not is_known and not await self._refs.is_deleted(run.run_id):
            self._room.refuse_run()
