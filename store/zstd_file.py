"""A compressed file that is read at any place: independent zstd frames, and a table of them.

The format is zstd's own "seekable format": every tool that reads zstd reads the whole file, because
the table at its end is a frame that readers skip. A frame holds 128 KiB of the file's bytes, so a
reader decompresses little more than it asks for, however long the file is.
"""

import struct
import sys
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import zstandard

from store.errors import DamagedFileError
from store.file_bytes import FileBytes, PlainBytes
from store.lines import read_exactly

FRAME_BYTES: Final = 128 << 10
_LEVEL: Final = 3
#: Frames that a reader keeps: the one it reads, and its neighbour.
_KEPT_FRAMES: Final = 2

_SKIPPABLE: Final = 0x184D2A5E
_SEEKABLE: Final = 0x8F92EAB1
_HEADER: Final = struct.Struct("<II")
_ENTRY: Final = struct.Struct("<II")
_FOOTER: Final = struct.Struct("<IBI")


def write_compressed(
    source: FileBytes, size: int, target: BinaryIO, go_on: Callable[[], bool]
) -> bool:
    """Compress the first ``size`` bytes of a file; every frame is decompressed once to compare.

    Args:
        source: The file.
        size: How many bytes.
        target: Where the frames go.
        go_on: Asked before each frame.

    Returns:
        Whether all was written; not when ``go_on`` said no.

    Raises:
        OSError: The disk refused, or a frame does not give back what it was made of.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    decompressor = zstandard.ZstdDecompressor()
    table = bytearray()
    for offset in range(0, size, FRAME_BYTES):
        if not go_on():
            return False
        block = read_exactly(source, offset, min(FRAME_BYTES, size - offset))
        frame = compressor.compress(block)
        if decompressor.decompress(frame) != block:
            msg = "a compressed block does not give back what it was made of"
            raise OSError(msg)
        target.write(frame)
        table += _ENTRY.pack(len(frame), len(block))
    count = len(table) // _ENTRY.size
    target.write(_HEADER.pack(_SKIPPABLE, len(table) + _FOOTER.size))
    target.write(table + _FOOTER.pack(count, 0, _SEEKABLE))
    return True


class CompressedBytes:
    """What a compressed file holds, decompressed where it is read; see :class:`FileBytes`.

    A damaged frame reads as zeros, so that the lines in it are malformed and all others are sound.

    Args:
        path: The file.

    Raises:
        DamagedFileError: It has no table, or one that does not fit.
        OSError: It is not there, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = PlainBytes.open(path)
        self._zstd = zstandard.ZstdDecompressor()
        self._frames: OrderedDict[int, bytes] = OrderedDict()
        try:
            self._table = _read_table(path, self._file)
        except BaseException:
            self._file.close()
            raise

    def size(self) -> int:
        """Return how many bytes there are."""
        return self._table.size

    def read(self, offset: int, size: int) -> bytes:
        """Return a part of what was compressed."""
        end = min(offset + size, self.size())
        parts = []
        while offset < end:
            number, start = divmod(offset, self._table.block_bytes)
            part = self._frame(number)[start : start + end - offset]
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def _frame(self, number: int) -> bytes:
        known = self._frames.get(number)
        if known is None:
            known = self._frames[number] = self._decompress(number)
            if len(self._frames) > _KEPT_FRAMES:
                self._frames.popitem(last=False)
        else:
            self._frames.move_to_end(number)
        return known

    def _decompress(self, number: int) -> bytes:
        table = self._table
        start, stop = table.places[number], table.places[number + 1]
        size = min(table.block_bytes, table.size - number * table.block_bytes)
        frame = read_exactly(self._file, start, stop - start)
        try:
            if zstandard.frame_content_size(frame) != size:
                return bytes(size)
            return self._zstd.decompress(frame)
        except zstandard.ZstdError:
            return bytes(size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Table(NamedTuple):
    """Where the frames of a file are.

    Attributes:
        places: Where each frame begins, and where the last one ends.
        block_bytes: What each frame holds; the last one may hold less.
        size: What all hold.
    """

    places: Sequence[int]
    block_bytes: int
    size: int


def _read_table(path: Path, file: FileBytes) -> _Table:
    size = file.size()
    if size < _HEADER.size + _FOOTER.size:
        raise DamagedFileError(path, "it is too short")
    count, _, magic = _FOOTER.unpack(read_exactly(file, size - _FOOTER.size, _FOOTER.size))
    length = count * _ENTRY.size + _FOOTER.size
    start = size - length - _HEADER.size
    if magic != _SEEKABLE or start < 0:
        raise DamagedFileError(path, "it does not end with a table of its frames")
    data = read_exactly(file, start, _HEADER.size + length)
    entries = array("I", data[_HEADER.size : -_FOOTER.size])
    if sys.byteorder == "big":
        entries.byteswap()
    places = array("Q", accumulate(entries[0::2], initial=0))
    blocks = entries[1::2]
    block_bytes = blocks[0] if blocks else 1
    is_even = set(blocks[:-1]) <= {block_bytes} and all(
        0 < each <= block_bytes for each in blocks[-1:]
    )
    if _HEADER.unpack_from(data) != (_SKIPPABLE, length) or places[-1] != start or not is_even:
        raise DamagedFileError(path, "its table does not fit its frames")
    return _Table(places, block_bytes, sum(blocks))
