r"""Find a place in a file of lines without reading the file: by bisection over its bytes.

A line begins with its place, so one look at the bytes behind a line break says where one stands. A
look costs two short reads, and a file of a million lines is searched with some thirty looks.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Final, TypeAlias

from store.file_bytes import FileBytes
from store.record import Place, find_place

#: Which of a place's numbers a search is about; both ascend within a file.
PlaceKey: TypeAlias = Callable[[Place], int]

#: No place is longer.
_PLACE_BYTES: Final = 256
_LOOK_BYTES: Final = 4096


def by_seq(place: Place) -> int:
    """Take the sequence in the log."""
    return place.seq


def by_run_seq(place: Place) -> int:
    """Take the number in the run."""
    return place.run_seq


def find_above(source: FileBytes, end: int, key: PlaceKey, value: int) -> int:
    """Return the offset behind the last sound line whose number is at most ``value``.

    Args:
        source: The file.
        end: Where its whole lines end.
        key: Which number.
        value: What the lines before the offset do not exceed.
    """

    def is_above(offset: int) -> bool:
        place = _place_from(source, offset, end)
        return place is None or key(place) > value

    return _line_from(source, bisect_left(range(end), x=True, key=is_above), end)


def _line_from(source: FileBytes, offset: int, end: int) -> int:
    """Return where the first line begins at or behind an offset."""
    if offset == 0:
        return 0
    offset -= 1
    while offset < end:
        block = source.read(offset, min(_LOOK_BYTES, end - offset))
        found = block.find(b"\n")
        if found >= 0:
            return offset + found + 1
        if not block:
            break
        offset += len(block)
    return end


def _place_from(source: FileBytes, offset: int, end: int) -> Place | None:
    """Return the place of the first sound line that begins at or behind an offset."""
    start = _line_from(source, offset, end)
    while start < end:
        place = find_place(source.read(start, _PLACE_BYTES))
        if place is not None:
            return place
        start = _line_from(source, start + 1, end)
    return None
