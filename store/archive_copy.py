"""The files of an archive as they stood at one sequence of the log, copied while a sink writes.

A run's file only grows, so what it held then is a beginning of what it holds now. What takes the
place of a file (compression, erasure, the end that stays of a run) does not change the one that is
open.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Final, NamedTuple

from bridge import RunRef
from store.file_bytes import FileBytes, PlainBytes
from store.layout import ArchiveLayout
from store.line_search import by_seq, find_above
from store.lines import whole_lines
from store.mark import ArchiveMark, encode_mark
from store.run_forms import is_compressed, open_run

_PIECE_BYTES: Final = 1 << 20


class CopiedFile(NamedTuple):
    """One file of an archive.

    Attributes:
        name: Its path below the data directory.
        modified_ns: When it was last written, nanoseconds since the epoch.
        pieces: Its bytes, to be taken before the next file is.
    """

    name: str
    modified_ns: int
    pieces: Iterator[bytes]


def copy_archive(layout: ArchiveLayout, up_to_seq: int) -> Iterator[CopiedFile]:
    """Yield the files of an archive without anything behind a sequence of the log.

    Copies and drafts that lie beside the files of runs are left out.

    Args:
        layout: The archive; a sink may be writing it.
        up_to_seq: The last sequence that counts.

    Raises:
        NewerArchiveError: A file was written by a newer version.
        ArchiveMarkError: The archive's mark is damaged.
        OSError: A file cannot be read.
    """
    for thread_id in layout.thread_ids():
        deleted = layout.thread_deleted(thread_id)
        if deleted.exists():
            yield _whole(layout, deleted.relative_to(layout.root).as_posix())
        for run in sorted(layout.runs(thread_id)):
            copied = _run(layout, run, up_to_seq)
            if copied is not None:
                yield copied
    if layout.dead_letters.exists():
        yield _whole(layout, layout.dead_letters.name)
    if layout.mark.exists():
        mark = encode_mark(min(ArchiveMark(layout.mark).read(), up_to_seq))
        yield CopiedFile(layout.mark.name, layout.mark.stat().st_mtime_ns, iter([mark]))


def _run(layout: ArchiveLayout, run: RunRef, up_to_seq: int) -> CopiedFile | None:
    while True:
        try:
            return _as_it_was(layout, run, up_to_seq)
        except FileNotFoundError:
            if not layout.has(run):  # it was deleted meanwhile, else compressed or brought back
                return None


def _as_it_was(layout: ArchiveLayout, run: RunRef, up_to_seq: int) -> CopiedFile | None:
    path = layout.compressed(run) if is_compressed(layout, run) else layout.run(run)
    modified_ns = path.stat().st_mtime_ns
    source = open_run(layout, run)
    end = whole_lines(source)
    cut = find_above(source, end, by_seq, up_to_seq)
    if cut == end and path == layout.compressed(run):
        source.close()
        return _whole(layout, path.relative_to(layout.root).as_posix())
    if cut == 0:
        source.close()
        return None
    name = layout.run(run).relative_to(layout.root).as_posix()
    return CopiedFile(name, modified_ns, _pieces(source, cut))


def _whole(layout: ArchiveLayout, name: str) -> CopiedFile:
    source = PlainBytes.open(layout.root / name)
    end = source.size()
    if name.endswith(".jsonl"):
        end = whole_lines(source)
    return CopiedFile(name, (layout.root / name).stat().st_mtime_ns, _pieces(source, end))


def _pieces(source: FileBytes, end: int) -> Iterator[bytes]:
    with closing(source):
        for offset in range(0, end, _PIECE_BYTES):
            yield source.read(offset, min(_PIECE_BYTES, end - offset))


def find_occupied(layout: ArchiveLayout) -> str | None:
    """Return the name of something that shows that a data directory has an archive already."""
    for path in (layout.threads, layout.mark, layout.dead_letters):
        if path.is_dir() and any(path.iterdir()):
            return path.name
        if path.is_file():
            return path.name
    return None
