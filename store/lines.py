r"""Lines of a file that may be growing: whole ones only, split at ``\n`` and nowhere else."""

from collections.abc import Iterator
from typing import Final

from store.file_bytes import FileBytes, stream

_CHUNK_BYTES: Final = 64 * 1024


def lines_from(source: FileBytes, offset: int) -> Iterator[bytes]:
    r"""Yield the whole lines from an offset on, each with its ``\n``.

    A last line without ``\n`` is being written at this moment, or torn; it is not yielded.
    """
    for line in stream(source, offset):
        if not line.endswith(b"\n"):
            return  # its rest, should it come now, must not be taken for a line
        yield line


def lines_back(source: FileBytes, end: int) -> Iterator[bytes]:
    r"""Yield the whole lines before an offset, last one first, each with its ``\n``.

    Args:
        source: The file.
        end: Where a line begins, or the last one ends.
    """
    rest = b""
    size = _CHUNK_BYTES
    while end > 0:
        start = max(0, end - size)
        block = read_exactly(source, start, end - start) + rest
        # What stands before the first line break belongs to a line that begins further ahead.
        cut = 0 if start == 0 else block.find(b"\n", 0, -1) + 1
        # A long line is gathered in few steps, because each one copies what there is of it.
        is_within_line = start > 0 and cut == 0
        size = size * 2 if is_within_line else _CHUNK_BYTES
        rest = block if is_within_line else block[:cut]
        if not is_within_line:
            for line in reversed(block[cut:].split(b"\n")[:-1]):
                yield line + b"\n"
        end = start


def whole_lines(source: FileBytes) -> int:
    """Return where the whole lines of a file end at this moment."""
    return line_start(source, source.size())


def line_start(source: FileBytes, end: int) -> int:
    """Return the offset just after the last line break before ``end``."""
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        found = read_exactly(source, start, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def read_exactly(source: FileBytes, offset: int, size: int) -> bytes:
    """Read a part of a file that is known to be there; an OSError when it is not."""
    data = source.read(offset, size)
    if len(data) < size:
        msg = f"the file ends at {offset + len(data)}, short of {offset + size}"
        raise OSError(msg)
    return data
