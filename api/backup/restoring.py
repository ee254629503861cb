"""Make a system from a backup: on a server without its streams, in a directory without an archive.

Everything that can be wrong with the backup or the target is found before anything is changed. What
fails after that is taken back.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Final

from api.backup.errors import BackupTargetError, RestoreInterruptedError
from api.backup.manifest import ARCHIVE, Manifest, check_files, entries, read_manifest
from api.settings import Settings
from bridge import BridgeError
from bridge.backup.streams import StreamBackup, TakenStream, open_streams
from store import ArchiveLayout, StoreError
from store.archive_copy import find_occupied
from store.jsonl import sync_directory
from store.lock import ArchiveLock

_DRAFT: Final = "restoring"

#: Called with what was done.
Progress = Callable[[str], None]


class BackupSource:
    """The files of a whole backup.

    Args:
        root: Its directory.

    Attributes:
        manifest: What it says of itself.

    Raises:
        DamagedBackupError: It is not whole.
        NewerBackupError: A newer version took it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.manifest: Manifest = read_manifest(root)
        check_files(root, self.manifest)

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file."""
        return (self._root / name).open("rb")

    def copy_archive(self, target: Path) -> None:
        """Copy the files of the archive below a directory; they are durable then."""
        for entry in entries(self._root):
            place, _, name = entry.name.partition("/")
            if place != ARCHIVE:
                continue
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._root / entry.name, path)
            os.utime(path, ns=(entry.modified_ns, entry.modified_ns))
        # One call for any number of files.
        os.sync()


async def restore_backup(settings: Settings, source: BackupSource, progress: Progress) -> None:
    """Restore a backup; no process of jetrun may be at work on the target.

    Args:
        settings: Of the target: its server and its data directory.
        source: The backup.
        progress: Told what was done.

    Raises:
        BackupTargetError: Server or directory hold something already; nothing was changed.
        ArchiveLockedError: A sink is at work on the directory; likewise.
        TopologyDriftError: The settings want other streams; likewise.
        BridgeError: The server cannot be used; likewise.
        RestoreInterruptedError: Server or disk refused, and what had been done was taken back.
    """
    layout = ArchiveLayout(settings.data)
    settings.data.mkdir(parents=True, exist_ok=True)
    lock = ArchiveLock(layout.lock)
    lock.acquire()
    try:
        async with open_streams(settings.bridge, restores=True) as target:
            await _check_target(target, layout, source.manifest)
            await _restore(target, layout, source, progress)
    finally:
        lock.release()


async def _check_target(target: StreamBackup, layout: ArchiveLayout, manifest: Manifest) -> None:
    found = find_occupied(layout)
    if found is None and (layout.root / _DRAFT).exists():
        found = f"{_DRAFT}, of a restore that was killed"
    if found is not None:
        raise BackupTargetError(f"the data directory {layout.root}", found)
    streams = await target.existing()
    if streams:
        raise BackupTargetError("the server", f"the stream {streams[0]}")
    for taken in manifest.streams:
        target.check(taken)


async def _restore(
    target: StreamBackup, layout: ArchiveLayout, source: BackupSource, progress: Progress
) -> None:
    draft = layout.root / _DRAFT
    begun: list[TakenStream] = []
    try:
        await _to_its_end(source.copy_archive, draft)
        progress("the archive's files are copied")
        for taken in source.manifest.streams:
            begun.append(taken)
            await target.restore(taken, source)
            progress(f"stream {taken.name}")
        # From here on nothing is awaited that a signal could end half-way.
        _adopt(draft, layout)
    except asyncio.CancelledError:
        await _take_back(target, draft, begun)
        raise
    except (BridgeError, StoreError, OSError) as exc:
        left = await _take_back(target, draft, begun)
        raise RestoreInterruptedError(str(exc), left) from exc


async def _to_its_end(work: Callable[[Path], None], draft: Path) -> None:
    """Run what blocks; a cancel waits for it: what is still being written cannot be taken back."""
    working = asyncio.create_task(asyncio.to_thread(work, draft))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


def _adopt(draft: Path, layout: ArchiveLayout) -> None:
    """Give the archive's few entries their places: all of them, or none."""
    if not draft.exists():
        return  # the backup has no archive
    found = sorted(draft.iterdir())
    try:
        for path in found:
            path.replace(layout.root / path.name)
        sync_directory(layout.root)
        draft.rmdir()
    except OSError:
        for path in found:
            if not path.exists():
                (layout.root / path.name).replace(path)
        raise


async def _take_back(target: StreamBackup, draft: Path, begun: list[TakenStream]) -> list[str]:
    """Undo a restore; return what could not be undone."""
    left: list[str] = []
    try:
        await asyncio.to_thread(shutil.rmtree, draft)
    except FileNotFoundError:
        pass  # the backup has no archive, or it was adopted
    except OSError:
        left.append(str(draft))
    for taken in begun:
        try:
            await target.remove(taken.name)
        except BridgeError:
            left.append(f"stream {taken.name}")
    return left
