"""The bytes of a run's file, read at any place, in whatever form the file lies on disk."""

import io
import os
from pathlib import Path
from typing import BinaryIO, Protocol, Self, cast

_BUFFER_BYTES = 64 * 1024


class FileBytes(Protocol):
    """An open file of lines; its methods block on the disk."""

    def size(self) -> int:
        """Return how many bytes there are at this moment."""

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from an offset on; fewer only at the end of the file.

        Raises:
            OSError: The disk refused.
        """

    def close(self) -> None:
        """Close the file."""


class PlainBytes:
    """A file as it is, which may be growing; see :class:`FileBytes`.

    Args:
        fd: Open for reading; closed with this object.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a file.

        Raises:
            OSError: It is not there, or cannot be read.
        """
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def size(self) -> int:
        """Return how many bytes there are at this moment."""
        return os.fstat(self._fd).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Return a part of the file."""
        data = os.pread(self._fd, size, offset)
        while data and len(data) < size:
            more = os.pread(self._fd, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class _Stream(io.RawIOBase):
    """Reads forwards from a place."""

    def __init__(self, source: FileBytes, offset: int) -> None:
        self._source = source
        self._offset = offset

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # what it is given
        data = self._source.read(self._offset, len(buffer))
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)


def stream(source: FileBytes, offset: int) -> BinaryIO:
    """Read a file forwards from an offset; closing the stream leaves the file open."""
    return cast("BinaryIO", io.BufferedReader(_Stream(source, offset), _BUFFER_BYTES))
