"""Checkpoints and writes as bytes: a line of JSON that says what follows, then the values.

The values are what the saver's serializer made of them. Only the line is read to find out to which
other checkpoints a checkpoint refers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from bridge import CheckpointEntry, CheckpointKey, NewerVersionError

_FORMAT: Final = 1

#: What a serializer makes of a value: a type and bytes.
Typed = tuple[str, bytes]
Version = str | int | float


class Slot(NamedTuple):
    """Where the value of a channel is.

    Attributes:
        version: The channel's version.
        home: The place of the checkpoint that holds it.
    """

    version: Version
    home: CheckpointKey


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint as it was stored, its values not decoded yet.

    Attributes:
        entry: Where it was stored.
        parent_id: The checkpoint that it follows.
        body: The checkpoint without the values of channels.
        metadata: Its metadata.
        slots: The channels that have a value.
        values: The values that it holds itself, by channel.
    """

    entry: CheckpointEntry
    parent_id: str | None
    body: Typed
    metadata: Typed
    slots: Mapping[str, Slot]
    values: Mapping[str, Typed]


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a task.

    Attributes:
        index: Its number; below 0 for those that replace an earlier one.
        channel: What it goes to.
        value: What it says.
    """

    index: int
    channel: str
    value: Typed


@dataclass(frozen=True, slots=True)
class TaskWrites:
    """What a task wrote in one call."""

    task_id: str
    task_path: str
    writes: Sequence[Write]


def encode_checkpoint(
    parent_id: str | None,
    body: Typed,
    metadata: Typed,
    *,
    values: Mapping[str, tuple[Version, Typed]],
    slots: Mapping[str, Slot],
) -> bytes:
    """Encode a checkpoint.

    Args:
        parent_id: The checkpoint that it follows.
        body: The checkpoint without the values of channels.
        metadata: Its metadata.
        values: The channels whose values it holds, with their versions.
        slots: The channels whose values other checkpoints of the lane hold.
    """
    homes: dict[str, tuple[Version, str | int]] = {
        channel: (slot.version, ".".join(slot.home[2:])) for channel, slot in slots.items()
    }
    for number, (channel, (version, _)) in enumerate(values.items(), start=2):
        homes[channel] = (version, number)
    head = {"parent": parent_id, "channels": homes}
    return _pack(head, [body, metadata, *(value for _, value in values.values())])


def decode_checkpoint(entry: CheckpointEntry) -> StoredCheckpoint:
    """Decode what :func:`encode_checkpoint` made.

    Raises:
        NewerVersionError: Another version made it.
    """
    head, blobs = _unpack(entry.payload)
    slots: dict[str, Slot] = {}
    values: dict[str, Typed] = {}
    for channel, (version, home) in head["channels"].items():
        if isinstance(home, int):
            values[channel] = blobs[home]
            slots[channel] = Slot(version, entry.key)
        else:
            slots[channel] = Slot(version, CheckpointKey(*entry.key[:2], *home.split(".")))
    return StoredCheckpoint(entry, head["parent"], blobs[0], blobs[1], slots, values)


def encode_writes(written: TaskWrites) -> bytes:
    """Encode the writes of one call."""
    head = {
        "task": written.task_id,
        "path": written.task_path,
        "writes": [(write.index, write.channel) for write in written.writes],
    }
    return _pack(head, [write.value for write in written.writes])


def decode_writes(payload: bytes) -> TaskWrites:
    """Decode what :func:`encode_writes` made; raises as :func:`decode_checkpoint` does."""
    head, blobs = _unpack(payload)
    writes = [
        Write(index, channel, blob)
        for (index, channel), blob in zip(head["writes"], blobs, strict=True)
    ]
    return TaskWrites(head["task"], head["path"], writes)


def _pack(head: Mapping[str, Any], blobs: Iterable[Typed]) -> bytes:
    blobs = list(blobs)
    sizes = [(kind, len(content)) for kind, content in blobs]
    line = orjson.dumps({"v": _FORMAT, **head, "blobs": sizes})
    return b"".join((line, b"\n", *(content for _, content in blobs)))


def _unpack(payload: bytes) -> tuple[dict[str, Any], list[Typed]]:
    end = payload.index(b"\n")
    head = orjson.loads(payload[:end])
    if head["v"] != _FORMAT:
        raise NewerVersionError("a checkpoint", str(head["v"]), str(_FORMAT))
    blobs: list[Typed] = []
    start = end + 1
    for kind, size in head["blobs"]:
        blobs.append((kind, payload[start : start + size]))
        start += size
    return head, blobs
