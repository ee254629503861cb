"""The two forms of a run's file: plain while the run may grow, compressed when it has been quiet.

Either form is complete. Where a crash has left both, the plain one counts, and whoever holds the
archive's lock removes the other. Only that process may change a form; any number may read.
"""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bridge import RunRef
from store.file_bytes import FileBytes, PlainBytes
from store.jsonl import replace_file, sync_directory
from store.layout import ArchiveLayout
from store.lines import lines_back, whole_lines
from store.zstd_file import CompressedBytes, write_compressed


def open_run(layout: ArchiveLayout, run: RunRef) -> FileBytes:
    """Open a run's file for reading, in whichever form it is.

    Raises:
        FileNotFoundError: The run has none.
        DamagedFileError: It is compressed, and cannot be read at any place.
        OSError: It cannot be read.
    """
    plain = layout.run(run)
    try:
        return PlainBytes.open(plain)
    except FileNotFoundError:
        pass
    try:
        return CompressedBytes(layout.compressed(run))
    except FileNotFoundError:
        # It may have been brought back between the two looks.
        return PlainBytes.open(plain)


def write_draft(layout: ArchiveLayout, run: RunRef, go_on: Callable[[], bool]) -> int | None:
    """Compress a run's plain file into a draft, and make that durable.

    Returns:
        How many bytes of the file are in it; ``None`` when ``go_on`` ended it.

    Raises:
        OSError: The disk refused; the file is as it was.
    """
    source = PlainBytes.open(layout.run(run))
    draft = layout.draft(run)
    try:
        size = source.size()
        with draft.open("wb") as target:
            is_whole = write_compressed(source, size, target, go_on)
            target.flush()
            os.fdatasync(target.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    finally:
        source.close()
    if not is_whole:
        draft.unlink()
        return None
    return size


def adopt_draft(layout: ArchiveLayout, run: RunRef, size: int) -> bool:
    """Put the draft in the place of the plain file, unless that has changed since.

    Nobody else may write the file meanwhile.

    Raises:
        OSError: The disk refused; one of the forms is there, or both.
    """
    plain, draft = layout.run(run), layout.draft(run)
    status = plain.stat()
    if status.st_size != size:
        draft.unlink()
        return False
    # The age of a run's file is that of its last event.
    os.utime(draft, ns=(status.st_atime_ns, status.st_mtime_ns))
    draft.replace(layout.compressed(run))
    sync_directory(plain.parent)
    plain.unlink()
    sync_directory(plain.parent)
    return True


def thaw(layout: ArchiveLayout, run: RunRef) -> None:
    """Bring the plain file of a compressed run back, so that it can grow.

    Raises:
        OSError: The disk refused; one of the forms is there, or both.
    """
    plain, draft = layout.run(run), layout.draft(run)
    source = CompressedBytes(layout.compressed(run))
    try:
        with draft.open("wb") as target:
            for offset in range(0, source.size(), 1 << 20):
                target.write(source.read(offset, 1 << 20))
            target.flush()
            os.fdatasync(target.fileno())
    finally:
        source.close()
    draft.replace(plain)
    sync_directory(plain.parent)
    drop_compressed(layout, run)


def keep_last_line(layout: ArchiveLayout, run: RunRef) -> bool:
    """Leave nothing of a run but its last line, in no copy.

    Returns:
        Whether there was more; the age of the file begins anew either way.

    Raises:
        OSError: The disk refused; some of the copies may be gone.
    """
    with closing(open_run(layout, run)) as source:
        end = whole_lines(source)
        last = next(lines_back(source, end))
    if len(last) == end:
        os.utime(layout.run(run) if layout.run(run).exists() else layout.compressed(run))
        return False
    replace_file(layout.run(run), last)
    drop_copies(layout, run)
    return True


def drop_run(layout: ArchiveLayout, run: RunRef) -> None:
    """Remove a run's file in both forms and all copies, and the directories that this empties.

    Raises:
        OSError: The disk refused; some may be gone.
    """
    drop_copies(layout, run)
    directory = layout.run(run).parent
    layout.run(run).unlink(missing_ok=True)
    sync_directory(directory)
    for emptied in (directory, directory.parent):
        try:
            emptied.rmdir()
        except OSError:  # it holds something else
            return
        sync_directory(emptied.parent)


def is_compressed(layout: ArchiveLayout, run: RunRef) -> bool:
    """Whether the compressed form is the one that counts."""
    return not layout.run(run).exists() and layout.compressed(run).exists()


def drop_compressed(layout: ArchiveLayout, run: RunRef) -> None:
    """Remove the compressed form beside a plain one, if it is there."""
    _remove([layout.compressed(run)])


def drop_copies(layout: ArchiveLayout, run: RunRef) -> None:
    """Remove all that holds records of a run besides its plain file."""
    _remove([layout.compressed(run), *layout.leftovers(run)])


def _remove(paths: list[Path]) -> None:
    found = [path for path in paths if path.exists()]
    for path in found:
        path.unlink(missing_ok=True)
    if found:
        sync_directory(found[0].parent)
