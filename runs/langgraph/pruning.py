"""Remove checkpoints that nobody needs, and keep the values that the remaining ones refer to."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from bridge import CheckpointKey, CheckpointLog
from runs.langgraph.checkpoints import Assembly
from runs.langgraph.frames import decode_checkpoint

#: The metadata that names the channels whose value is made of the writes since an older checkpoint.
_REBUILT: Final = "counters_since_delta_snapshot"


class Pruning:
    """Removes checkpoints of lanes; whoever writes the thread meanwhile is not disturbed.

    Args:
        log: Where they are.
        assembly: Decodes their metadata.
    """

    def __init__(self, log: CheckpointLog, assembly: Assembly) -> None:
        self._log = log
        self._assembly = assembly

    async def keep_newest(self, thread_id: str) -> None:
        """Remove all checkpoints but the newest of each lane and those that it is rebuilt from.

        Raises:
            CheckpointFencedError: A writer began or ended meanwhile; some are removed; call again.
            UnavailableError: The server fell silent; some are removed; call again.
        """
        lanes: dict[str, list[CheckpointKey]] = defaultdict(list)
        for key in await self._log.keys(thread_id):
            lanes[key.lane].append(key)
        for keys in lanes.values():
            spared = await self._rebuilt_from(keys[0])
            await self._remove(
                doomed=[key for key in keys if key.entry not in spared],
                survivors=[key for key in keys if key.entry in spared],
            )

    async def remove_runs(self, run_ids: Iterable[str]) -> None:
        """Remove all that runs stored, on checkpoints of other runs, too.

        Raises:
            CheckpointFencedError: A writer began or ended meanwhile; some are removed; call again.
            UnavailableError: The server fell silent; some are removed; call again.
        """
        runs = list(run_ids)
        lanes: dict[tuple[str, str], set[CheckpointKey]] = defaultdict(set)
        for run_id in runs:
            for key in await self._log.keys(run_id=run_id):
                lanes[key.thread, key.lane].add(key)
        for doomed in lanes.values():
            everything = await self._log.siblings(next(iter(doomed)))
            survivors = [key for key in everything if key not in doomed]
            await self._remove(doomed=doomed, survivors=survivors)
        for run_id in runs:
            await self._log.remove_notes(run_id)

    async def _rebuilt_from(self, newest: CheckpointKey) -> set[str]:
        spared = {newest.entry}
        entry = (await self._log.read([newest])).get(newest)
        wanted: set[str] | None = None
        while entry is not None:
            stored = decode_checkpoint(entry)
            spared.add(entry.key.entry)
            if wanted is None:
                wanted = set(self._assembly.metadata(stored).get(_REBUILT, ()))
            wanted -= stored.slots.keys()
            if not wanted or stored.parent_id is None:
                break
            entry = await self._log.find(entry.thread_id, entry.lane, stored.parent_id)
        return spared

    async def _remove(
        self, *, doomed: Collection[CheckpointKey], survivors: Sequence[CheckpointKey]
    ) -> None:
        if not doomed:
            return
        needed = await self._homes(survivors)
        hidden = await self._log.kept_siblings(next(iter(doomed)))
        for key in doomed:
            if key not in needed:
                await self._log.remove(key)
            elif (entry := (await self._log.read([key])).get(key)) is not None:
                await self._log.keep(entry)
        for key in hidden:
            if key not in needed:
                await self._log.remove(key)

    async def _homes(self, keys: Sequence[CheckpointKey]) -> set[CheckpointKey]:
        found: set[CheckpointKey] = set()
        async for page in self._log.pages(keys):
            for entry in page:
                found |= {slot.home for slot in decode_checkpoint(entry).slots.values()}
        return found
