"""Write a run's file anew: what the log holds from the log, the rest from the sound old lines.

The old file is kept beside the new one. A crash leaves the old file or the new one. Memory grows by
some hundred bytes for each record of the run.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from bridge import RunRef
from bridge.events import DELETED
from store.errors import DamagedFileError, MalformedLineError, RunNotArchivedError
from store.file_bytes import FileBytes, PlainBytes
from store.jsonl import sync_directory
from store.layout import ArchiveLayout
from store.lines import lines_from
from store.lock import ArchiveLock
from store.record import encode_archived, parse_line
from store.run_forms import drop_compressed, open_run
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
        if not self._layout.has(run):
            raise RunNotArchivedError(run.run_id)
        lock = ArchiveLock(self._layout.lock)
        lock.acquire()
        try:
            return await self._repair(run)
        finally:
            lock.release()

    async def _repair(self, run: RunRef) -> Repair:
        known, lines = await asyncio.to_thread(_read_known, self._layout, run)
        draft = self._layout.draft(run)
        from_log = 0
        with known, draft.open("wb") as new:
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
        kept = await asyncio.to_thread(_replace, self._layout, run)
        return Repair(from_log, known.taken, lines - known.count, kept)


class _Known:
    """The sound lines of the old file, in the order of their numbers; closes the file."""

    def __init__(self, source: FileBytes, index: dict[int, int]) -> None:
        self._source = source
        self._offsets = sorted(index.items(), reverse=True)
        self._lines: Iterator[bytes] = iter(())
        self._next_offset = -1
        self.count = len(index)
        self.taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def below(self, run_seq: int | None) -> Iterator[bytes]:
        """Take the lines below a number; ``None`` takes all that are left."""
        while self._offsets and (run_seq is None or self._offsets[-1][0] < run_seq):
            self.taken += 1
            yield self._line_at(self._offsets.pop()[1])

    def _line_at(self, offset: int) -> bytes:
        if offset != self._next_offset:  # most follow the one before
            self._lines = lines_from(self._source, offset)
        line = next(self._lines)
        self._next_offset = offset + len(line)
        return line

    def skip(self, run_seq: int) -> None:
        """Pass over the line with a number, if there is one."""
        if self._offsets and self._offsets[-1][0] == run_seq:
            self._offsets.pop()


def _read_known(layout: ArchiveLayout, run: RunRef) -> tuple[_Known, int]:
    """Find where the first sound line of each number begins, and count all lines."""
    index: dict[int, int] = {}
    offset = count = 0
    try:
        source = open_run(layout, run)
    except DamagedFileError:  # it gives no line, and is kept
        return _Known(PlainBytes.open(os.devnull), index), 0
    for line in lines_from(source, 0):
        with suppress(MalformedLineError):  # it is dropped, and counted as such
            record = parse_line(line)
            if (record.thread_id, record.run_id) == run:
                index.setdefault(record.run_seq, offset)
        offset += len(line)
        count += 1
    return _Known(source, index), count


def _replace(layout: ArchiveLayout, run: RunRef) -> Path:
    plain = layout.run(run)
    old = plain if plain.exists() else layout.compressed(run)
    kept = layout.new_copy(run, old)
    os.link(old, kept)
    layout.draft(run).replace(plain)
    sync_directory(plain.parent)
    drop_compressed(layout, run)
    return kept
