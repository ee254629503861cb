"""Write a run's file anew: what the log holds from the log, the rest from the sound old lines.

The old file is kept beside the new one. A crash leaves the old file or the new one. Memory grows by
some hundred bytes for each record of the run.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from bridge import RunRef
from bridge.events import DELETED
from store.errors import MalformedLineError, RunNotArchivedError
from store.jsonl import iterate_lines, sync_directory
from store.layout import ArchiveLayout
from store.lock import ArchiveLock
from store.record import encode_archived, parse_line
from store.verify import Log

_PAGE: Final = 500


class Repair(NamedTuple):
    """What a repair did.

    Attributes:
        from_log: Records that were written from the log.
        from_file: Those that were taken from the old file, because the log no longer holds them.
        dropped_lines: Lines of the old file that were no record of the run, or one too many.
        kept: The old file.
    """

    from_log: int
    from_file: int
    dropped_lines: int
    kept: Path


class Repairer:
    """Repairs runs of one archive, while no sink writes it.

    Args:
        layout: The archive.
        log: The log that it was written from.
    """

    def __init__(self, layout: ArchiveLayout, log: Log) -> None:
        self._layout = layout
        self._log = log

    async def repair(self, run: RunRef) -> Repair:
        """Write a run's file anew.

        Raises:
            ArchiveLockedError: A sink writes the archive; stop it first. Nothing was changed.
            RunNotArchivedError: The run has no file; a sink writes it. Nothing was changed.
            OSError: The disk refused; the old file is still there.
            UnavailableError: The log fell silent; nothing was changed.
        """
        path = self._layout.run(run)
        if not path.exists():
            raise RunNotArchivedError(run.run_id)
        lock = ArchiveLock(self._layout.lock)
        lock.acquire()
        try:
            return await self._repair(run, path)
        finally:
            lock.release()

    async def _repair(self, run: RunRef, path: Path) -> Repair:
        index, lines = await asyncio.to_thread(_index, path, run)
        draft = path.with_suffix(".draft")
        from_log = 0
        with path.open("rb") as old, draft.open("wb") as new:
            known = _Known(old, index)
            seq = reached = 0
            while events := await self._log.read_after(run, reached, stream_seq=seq, limit=_PAGE):
                if events[-1].event == DELETED:
                    break
                for event in events:
                    await asyncio.to_thread(new.writelines, known.below(event.run_seq))
                    known.skip(event.run_seq)
                    new.write(encode_archived(event))
                from_log += len(events)
                seq, reached = events[-1].event_id
            await asyncio.to_thread(new.writelines, known.below(None))
            new.flush()
            await asyncio.to_thread(os.fdatasync, new.fileno())
        kept = await asyncio.to_thread(_replace, path, draft)
        return Repair(from_log, known.taken, lines - len(index), kept)


class _Known:
    """The sound lines of the old file, in the order of their numbers."""

    def __init__(self, file: BinaryIO, index: dict[int, int]) -> None:
        self._file = file
        self._offsets = sorted(index.items(), reverse=True)
        self.taken = 0

    def below(self, run_seq: int | None) -> Iterator[bytes]:
        """Take the lines below a number; ``None`` takes all that are left."""
        while self._offsets and (run_seq is None or self._offsets[-1][0] < run_seq):
            self._file.seek(self._offsets.pop()[1])
            self.taken += 1
            yield self._file.readline()

    def skip(self, run_seq: int) -> None:
        """Pass over the line with a number, if there is one."""
        if self._offsets and self._offsets[-1][0] == run_seq:
            self._offsets.pop()


def _index(path: Path, run: RunRef) -> tuple[dict[int, int], int]:
    """Return where the first sound line of each number begins, and how many lines there are."""
    index: dict[int, int] = {}
    offset = count = 0
    with path.open("rb") as file:
        for line in iterate_lines(file):
            with suppress(MalformedLineError):  # it is dropped, and counted as such
                record = parse_line(line)
                if (record.thread_id, record.run_id) == run:
                    index.setdefault(record.run_seq, offset)
            offset += len(line)
            count += 1
    return index, count


def _replace(path: Path, draft: Path) -> Path:
    number = 1
    while (kept := path.with_suffix(f".old-{number}")).exists():
        number += 1
    os.link(path, kept)
    draft.replace(path)
    sync_directory(path.parent)
    return kept
