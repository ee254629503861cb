"""Read and write whole checkpoints: values that did not change are references to older ones."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointTuple,
    PendingWrite,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from bridge import CheckpointDamagedError, CheckpointEntry, CheckpointKey, CheckpointLog
from runs.langgraph.configs import Place
from runs.langgraph.frames import (
    Slot,
    StoredCheckpoint,
    Typed,
    Version,
    decode_checkpoint,
    decode_writes,
)

_MAX_REMEMBERED: Final = 256


class Slots:
    """Where the values of recent checkpoints are; what is forgotten is read again.

    Args:
        log: Where checkpoints are read.
    """

    def __init__(self, log: CheckpointLog) -> None:
        self._log = log
        self._known: OrderedDict[Place, Mapping[str, Slot]] = OrderedDict()

    def note(self, place: Place, slots: Mapping[str, Slot]) -> None:
        """Remember a checkpoint."""
        self._known[place] = slots
        self._known.move_to_end(place)
        if len(self._known) > _MAX_REMEMBERED:
            self._known.popitem(last=False)

    async def of(self, place: Place) -> Mapping[str, Slot]:
        """Return the slots of a checkpoint; none where it does not exist.

        Raises:
            UnavailableError: The server fell silent.
        """
        if place.checkpoint_id is None:
            return {}
        known = self._known.get(place)
        if known is None:
            entry = await self._log.find(*place)
            known = {} if entry is None else decode_checkpoint(entry).slots
        return known


def divide(
    checkpoint: Checkpoint, new_versions: ChannelVersions, inherited: Mapping[str, Slot]
) -> tuple[dict[str, Version], dict[str, Slot]]:
    """Tell the channels whose values a checkpoint must hold from those that older ones hold.

    Args:
        checkpoint: The checkpoint.
        new_versions: The channels that have changed since its parent.
        inherited: Where the values of its parent are.

    Returns:
        The versions of those to be held, and the slots of the others.
    """
    held: dict[str, Version] = {}
    slots: dict[str, Slot] = {}
    for channel, version in checkpoint["channel_versions"].items():
        slot = inherited.get(channel)
        if channel not in new_versions and slot is not None and slot.version == version:
            slots[channel] = slot
        elif channel in checkpoint["channel_values"]:
            held[channel] = version
    return held, slots


class Assembly:
    """Makes checkpoints of what is stored.

    Args:
        log: Where references are read.
        serde: Decodes values.
    """

    def __init__(self, log: CheckpointLog, serde: SerializerProtocol) -> None:
        self._log = log
        self._serde = serde

    async def tuples(self, stored: Sequence[StoredCheckpoint]) -> list[CheckpointTuple]:
        """Return the checkpoints with their values and pending writes.

        Those that are removed meanwhile are left out.

        Raises:
            CheckpointDamagedError: A value is gone.
            UnavailableError: The server fell silent.
        """
        known = {each.entry.key: each for each in stored}
        wanted = {slot.home for each in stored for slot in each.slots.values()}
        written = asyncio.gather(*map(self.pending, stored))
        homes, noted = await asyncio.gather(self._homes(list(wanted - known.keys())), written)
        whole: list[CheckpointTuple] = []
        for each, writes in zip(stored, noted, strict=True):
            try:
                whole.append(self._tuple(each, {**homes, **known}, writes))
            except CheckpointDamagedError:
                entry = each.entry
                if await self._log.find(entry.thread_id, entry.lane, entry.entry_id) is not None:
                    raise
        return whole

    async def _homes(
        self, keys: Sequence[CheckpointKey]
    ) -> Mapping[CheckpointKey, StoredCheckpoint]:
        found = await self._log.read(keys)
        return {key: decode_checkpoint(entry) for key, entry in found.items()}

    def _value(self, entry: CheckpointEntry, channel: str, home: StoredCheckpoint | None) -> Any:
        if home is None or channel not in home.values:
            raise CheckpointDamagedError(entry.thread_id, f"the value of {channel!r}")
        return self._load(home.values[channel])

    def _tuple(
        self,
        stored: StoredCheckpoint,
        homes: Mapping[CheckpointKey, StoredCheckpoint],
        pending: list[PendingWrite],
    ) -> CheckpointTuple:
        entry = stored.entry
        values = {
            channel: self._value(entry, channel, homes.get(slot.home))
            for channel, slot in stored.slots.items()
        }
        checkpoint: Checkpoint = self._load(stored.body)
        checkpoint["channel_values"] = values
        parent = stored.parent_id
        place = Place(entry.thread_id, entry.lane, entry.entry_id)
        return CheckpointTuple(
            config=place.config(),
            checkpoint=checkpoint,
            metadata=self._load(stored.metadata),
            parent_config=place._replace(checkpoint_id=parent).config() if parent else None,
            pending_writes=pending,
        )

    async def pending(self, stored: StoredCheckpoint) -> list[PendingWrite]:
        """Return what tasks wrote on a checkpoint, in the order in which it counts.

        Raises:
            UnavailableError: The server fell silent.
        """
        return self._pending(await self._log.notes(stored.entry))

    async def value(self, stored: StoredCheckpoint, channel: str) -> Any:
        """Return the value of one channel that has one.

        Raises:
            CheckpointDamagedError: It is gone.
            UnavailableError: The server fell silent.
        """
        key = stored.slots[channel].home
        home = stored if key == stored.entry.key else (await self._homes([key])).get(key)
        return self._value(stored.entry, channel, home)

    def metadata(self, stored: StoredCheckpoint) -> Mapping[str, Any]:
        """Return a checkpoint's metadata alone."""
        loaded: Mapping[str, Any] = self._load(stored.metadata)
        return loaded

    def _load(self, value: Typed) -> Any:
        return self._serde.loads_typed(value)

    def _pending(self, noted: Sequence[bytes]) -> list[PendingWrite]:
        found: dict[tuple[str, int], tuple[str, str, Typed]] = {}
        for task in map(decode_writes, noted):
            for write in task.writes:
                # A task that is executed again does not change what it wrote first; what it says
                # about itself (an error, an interrupt) is replaced.
                place = (task.task_id, write.index)
                if write.index < 0 or place not in found:
                    found[place] = (task.task_path, write.channel, write.value)
        return [
            (task_id, channel, self._load(value))
            for (task_id, _), (_, channel, value) in sorted(
                found.items(), key=lambda each: writes_sort_key(each[1][0], *each[0])
            )
        ]
