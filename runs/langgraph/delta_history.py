"""Collect what channels that store only their changes are rebuilt from.

The ancestors of a checkpoint are read some at a time, in the order in which they were stored, since
that is mostly the order of the ancestors, too.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from langgraph.checkpoint.base import DeltaChannelHistory, PendingWrite

from bridge import CheckpointLog
from runs.langgraph.checkpoints import Assembly
from runs.langgraph.configs import Place
from runs.langgraph.frames import StoredCheckpoint, decode_checkpoint


class DeltaHistory:
    """Collects the writes to channels since they were last stored whole.

    Args:
        log: Where checkpoints are.
        assembly: Decodes them.
    """

    def __init__(self, log: CheckpointLog, assembly: Assembly) -> None:
        self._log = log
        self._assembly = assembly

    async def collect(
        self, place: Place, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return, for each channel, its last whole value and the writes since, oldest first.

        Raises:
            CheckpointDamagedError: A value is gone.
            UnavailableError: The server fell silent.
        """
        writes: dict[str, list[PendingWrite]] = {channel: [] for channel in channels}
        seeds: dict[str, Any] = {}
        async with aclosing(self._ancestors(place)) as generations:
            async for ancestors in generations:
                written = await asyncio.gather(*map(self._assembly.pending, ancestors))
                for ancestor, each in zip(ancestors, written, strict=True):
                    wanted = writes.keys() - seeds.keys()
                    for write in reversed(each):
                        if write[1] in wanted:
                            writes[write[1]].append(write)
                    for channel in wanted & ancestor.slots.keys():
                        seeds[channel] = await self._assembly.value(ancestor, channel)
                if seeds.keys() == writes.keys():
                    break
        return {channel: _history(channel, writes, seeds) for channel in channels}

    async def _ancestors(self, place: Place) -> AsyncGenerator[list[StoredCheckpoint]]:
        """Yield the ancestors of a checkpoint, nearest first, some at a time."""
        entry = await self._log.find(*place)
        if entry is None:
            return
        parent_id = decode_checkpoint(entry).parent_id
        keys = [key for key in await self._log.siblings(entry.key) if key.order < entry.key.order]
        async with aclosing(self._log.pages(keys)) as pages:
            async for page in pages:
                # Ancestors are older than what they precede, so they come in the order of pages.
                found: list[StoredCheckpoint] = []
                for each in page:
                    if each.entry_id == parent_id:
                        found.append(decode_checkpoint(each))
                        parent_id = found[-1].parent_id
                if found:
                    yield found
                if parent_id is None:
                    return


def _history(
    channel: str, writes: Mapping[str, list[PendingWrite]], seeds: Mapping[str, Any]
) -> DeltaChannelHistory:
    history = DeltaChannelHistory(writes=writes[channel][::-1])
    if channel in seeds:
        history["seed"] = seeds[channel]
    return history
