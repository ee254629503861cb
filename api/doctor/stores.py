"""What can be learnt of the server's storage: from its monitoring, and from disks that we share."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from api.nats_server import DIRECTORY
from api.settings import Settings

_ANSWER_S: Final = 2.0
#: Of st_blocks, whatever the file system's own are.
_BLOCK_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that we can see.

    Attributes:
        holds: What is on it.
        path: Where.
        total_bytes: Its size.
        free_bytes: How much of that is free.
        may_grow_bytes: How much more the server allows itself there; ``None``: unknown.
    """

    holds: str
    path: Path
    total_bytes: int
    free_bytes: int
    may_grow_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Stores:
    """How the server stores, and on what.

    Attributes:
        is_synced: Whether each write is synced before it is acknowledged; ``None``: unknown.
        unanswered: Monitoring URLs that gave no answer, without credentials.
        disks: Those that this machine has as well.
        used_bytes: What the server's files take; ``None`` when they are elsewhere.
    """

    is_synced: bool | None
    unanswered: tuple[str, ...]
    disks: tuple[Disk, ...]
    used_bytes: int | None


async def find_stores(settings: Settings) -> Stores:
    """Ask the monitoring of the servers, where it is named, and look at the disks."""
    urls = [each.strip() for each in (settings.nats.monitor_url or "").split(",") if each.strip()]
    servers = await _ask(urls)
    told = [server for server in servers.values() if server is not None]
    configs = [server["jetstream"]["config"] for server in told]
    synced = [bool(config.get("sync_always")) for config in configs]
    places: dict[Path, int | None] = {settings.data / DIRECTORY: None}
    for server, config in zip(told, configs, strict=True):
        stored = server["jetstream"].get("stats", {}).get("storage", 0)
        places[Path(config["store_dir"])] = max(0, config["max_storage"] - stored)
    return await asyncio.to_thread(
        _look_at_disks,
        settings.data,
        places,
        is_synced=all(synced) if synced else settings.nats.sync_always,
        unanswered=tuple(
            url.rpartition("@")[2] for url, server in servers.items() if server is None
        ),
    )


async def _ask(urls: list[str]) -> dict[str, dict[str, Any] | None]:
    async with ClientSession(timeout=ClientTimeout(_ANSWER_S)) as session:
        answers = await asyncio.gather(*(_find_variables(session, url) for url in urls))
    return dict(zip(urls, answers, strict=True))


async def _find_variables(session: ClientSession, url: str) -> dict[str, Any] | None:
    try:
        async with session.get(f"{url.rstrip('/')}/varz") as answer:
            told = await answer.json()
    except (ClientError, TimeoutError, ValueError):
        return None
    return told if isinstance(told, dict) and "config" in told.get("jetstream", {}) else None


def _look_at_disks(
    archive: Path,
    stores: Mapping[Path, int | None],
    *,
    is_synced: bool | None,
    unanswered: tuple[str, ...],
) -> Stores:
    found = {path: _find_disk("the NATS store", path, room) for path, room in stores.items()}
    there = {path: disk for path, disk in found.items() if disk is not None}
    disk = _find_disk("the archive", archive, None)
    return Stores(
        is_synced,
        unanswered,
        (*there.values(), *([] if disk is None else [disk])),
        sum(map(_used_bytes, there)) if there else None,
    )


def _find_disk(holds: str, path: Path, may_grow_bytes: int | None) -> Disk | None:
    try:
        whole = shutil.disk_usage(path)
    except OSError:  # of another machine or container, or not ours to see
        return None
    return Disk(holds, path, whole.total, whole.free, may_grow_bytes)


def _used_bytes(directory: Path) -> int:
    used = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):  # the server removes files meanwhile
                used += Path(folder, name).lstat().st_blocks * _BLOCK_BYTES
    return used
