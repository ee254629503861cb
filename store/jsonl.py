"""An append-only file of whole lines that survives SIGKILL and power cuts.

What :meth:`JsonlFile.sync` returned for is on disk for good. What was appended after that is
either whole or gone: a torn last line is cut off when the file is opened, and a failed write is
taken back.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from store.file_bytes import PlainBytes
from store.lines import line_start, lines_back


class JsonlFile:
    """One open file with one writer. Its methods block; call them outside of the event loop.

    Opening creates the file and its directories, and makes both durable before anything is
    written. What an earlier process left in the file is durable once the file is open.

    Args:
        path: The file.
        root: The directory above it from which on directories are made durable; it must exist.
    """

    def __init__(self, path: Path, *, root: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._bytes = PlainBytes(self._fd)
        try:
            self._durable_bytes = self._size_bytes = self._open_end(root)
        except BaseException:
            os.close(self._fd)
            raise

    def _open_end(self, root: Path) -> int:
        size = os.fstat(self._fd).st_size
        end = line_start(self._bytes, size)
        if end < size:
            os.ftruncate(self._fd, end)
        # A process that was killed before it synced has left lines in memory only.
        os.fdatasync(self._fd)
        if end == 0:
            # Directories are synced before the first line, so a file with lines needs it no more.
            _sync_directories(self.path.parent, root)
        return end

    @property
    def has_unsynced(self) -> bool:
        """Whether lines were appended that :meth:`sync` has not made durable yet."""
        return self._size_bytes > self._durable_bytes

    def append(self, lines: bytes) -> None:
        """Write whole lines with one call, so that readers hardly ever see a part of one.

        Raises:
            OSError: The disk refused; everything since the last :meth:`sync` was taken back.
        """
        try:
            written = os.write(self._fd, lines)
            while written < len(lines):
                written += os.write(self._fd, memoryview(lines)[written:])
        except OSError:
            self.take_back()
            raise
        self._size_bytes += len(lines)

    def sync(self) -> None:
        """Make everything appended durable.

        Raises:
            OSError: The disk refused; everything since the last :meth:`sync` was taken back,
                because what a failed sync has left on disk is not known.
        """
        if not self.has_unsynced:
            return
        try:
            os.fdatasync(self._fd)
        except OSError:
            self.take_back()
            raise
        self._durable_bytes = self._size_bytes

    def take_back(self) -> None:
        """Remove what was appended since the last :meth:`sync`."""
        os.ftruncate(self._fd, self._durable_bytes)
        self._size_bytes = self._durable_bytes

    def lines_from_end(self) -> Iterator[bytes]:
        """Yield the lines, last one first, reading little further back than is asked for."""
        return lines_back(self._bytes, self._size_bytes)

    def close(self) -> None:
        """Close the file without syncing."""
        os.close(self._fd)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file durably; a crash leaves the old content or the new one, never a part."""
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fdatasync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_directories(directory: Path, root: Path) -> None:
    sync_directory(directory)
    while directory != root:
        directory = directory.parent
        sync_directory(directory)
