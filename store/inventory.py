"""What an archive has on disk, looked at file by file: what to compress, and what to let go first.

Memory is bounded, however many runs there are.
"""

import time
from collections.abc import Callable, Iterator
from heapq import nsmallest
from typing import Final, NamedTuple

from bridge import RunRef
from store.layout import ArchiveLayout
from store.settings import ArchiveSettings

#: So many are dealt with in one round; the next one goes on.
MAX_FOUND: Final = 10_000


class RunOnDisk(NamedTuple):
    """The file of a run; the oldest sorts first.

    Attributes:
        written_at: When it was last written, seconds since the epoch.
        size_bytes: What it takes.
        run: The run.
        is_compressed: Whether it is.
    """

    written_at: float
    size_bytes: int
    run: RunRef
    is_compressed: bool


class Inventory(NamedTuple):
    """What one look at all files has found.

    Attributes:
        size_bytes: What all runs take.
        quiet: Runs to compress, if they have ended.
        oldest: Runs to let go, oldest first, if they have ended; only some, where there are many.
    """

    size_bytes: int
    quiet: list[RunRef]
    oldest: list[RunOnDisk]


def take_inventory(
    layout: ArchiveLayout, settings: ArchiveSettings, go_on: Callable[[], bool]
) -> Inventory:
    """Look at all files once; linear in their number.

    Args:
        layout: The archive.
        settings: What is quiet.
        go_on: Asked before each thread; the look ends early when it says no.

    Raises:
        OSError: A directory cannot be read.
    """
    size_bytes = 0
    quiet: list[RunRef] = []
    quiet_before = time.time() - (settings.compress_after_s or 0)

    def seen() -> Iterator[RunOnDisk]:
        nonlocal size_bytes
        for file in _files(layout, go_on):
            size_bytes += file.size_bytes
            if (
                settings.compress_after_s is not None
                and not file.is_compressed
                and file.size_bytes >= settings.compress_min_bytes
                and file.written_at < quiet_before
                and len(quiet) < MAX_FOUND
            ):
                quiet.append(file.run)
            yield file

    if settings.max_age_s is None and settings.max_bytes is None:
        for _ in seen():
            pass
        return Inventory(size_bytes, quiet, [])
    oldest = nsmallest(MAX_FOUND, seen())
    return Inventory(size_bytes, quiet, oldest)


def _files(layout: ArchiveLayout, go_on: Callable[[], bool]) -> Iterator[RunOnDisk]:
    for thread_id in layout.thread_ids():
        if not go_on():
            return
        for run in layout.runs(thread_id):
            for path in (layout.run(run), layout.compressed(run)):
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                yield RunOnDisk(
                    status.st_mtime, status.st_size, run, path == layout.compressed(run)
                )
