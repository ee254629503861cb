"""Take a backup of a system at work.

The streams come first, in an order that makes them fit together, see :mod:`bridge.backup.streams`.
The archive comes behind the log, because what is cut from the log is in it, and without what it got
after that, so that the restored log goes on where the restored archive ends.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from api.backup.errors import BackupInterruptedError
from api.backup.files import BackupFiles
from api.backup.manifest import ARCHIVE, Manifest
from api.settings import Settings
from bridge import BridgeError
from bridge.backup.streams import open_streams
from bridge.subjects import Subjects
from store import ArchiveLayout, StoreError
from store.archive_copy import copy_archive

#: Called with what was done: a name and how many bytes.
Progress = Callable[[str, int], None]


async def take_backup(
    settings: Settings, target: Path, product: str, progress: Progress
) -> Manifest:
    """Write a backup into a directory; it is one once this returns.

    Args:
        settings: Where the server and the data directory are.
        target: New or empty.
        product: The name and version of who takes it.
        progress: Told what was done.

    Raises:
        BackupTargetError: The directory is not empty; it is as it was.
        BackupInterruptedError: Server or disk refused; what is there is no backup.
    """
    try:
        files = BackupFiles(target)
        async with open_streams(settings.bridge, restores=False) as backup:
            streams = await backup.take(files)
        progress("streams", files.size_bytes)
        log = Subjects(settings.log.prefix).events_stream
        log_seq = next(each.last_seq for each in streams if each.name == log)
        await asyncio.to_thread(_copy_archive, settings.data, log_seq, files)
        progress("archive", files.size_bytes)
        return await asyncio.to_thread(files.finish, product, log_seq, streams)
    except (BridgeError, StoreError, OSError) as exc:
        raise BackupInterruptedError(target, str(exc)) from exc


def _copy_archive(data: Path, log_seq: int, files: BackupFiles) -> None:
    for copied in copy_archive(ArchiveLayout(data), log_seq):
        with files.writing(f"{ARCHIVE}/{copied.name}", copied.modified_ns) as file:
            for piece in copied.pieces:
                file.write(piece)
