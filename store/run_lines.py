"""The lines of one run's file, read forwards or backwards from any place, while it may be growing.

A reader sees whole lines only and holds few of them in memory. A malformed line is reported with
its number and passed over; its neighbours are not affected.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, Self, TypeAlias, TypeVar

from bridge import RunRef
from store.errors import MalformedLineError
from store.file_bytes import FileBytes, PlainBytes
from store.line_search import PlaceKey, by_run_seq, find_above
from store.lines import lines_back, lines_from, whole_lines

_COUNT_BYTES = 1 << 20


class MalformedLine(NamedTuple):
    """A line that is no record of its run. What it held is missing from the file.

    Attributes:
        path: The file.
        line_number: Counted from 1.
        reason: What is wrong with it.
    """

    path: Path
    line_number: int
    reason: str


OnMalformed: TypeAlias = Callable[[MalformedLine], None]


class _OfRun(Protocol):
    @property
    def thread_id(self) -> str: ...

    @property
    def run_id(self) -> str: ...


_Item = TypeVar("_Item", bound=_OfRun)


class RunLines:
    """One run's open file; a context manager.

    Args:
        source: The file; closed on leaving. ``None`` when the run has none: it has no lines then,
            and none can come while this reader is open.
        path: How it is called when a line is reported.
        run: The run.
        on_malformed: Called for each malformed line that is passed over.
    """

    def __init__(
        self, source: FileBytes | None, path: Path, run: RunRef, on_malformed: OnMalformed
    ) -> None:
        self._source = source or PlainBytes.open(os.devnull)
        self._path = path
        self._run = run
        self._on_malformed = on_malformed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def above(
        self, decode: Callable[[bytes], _Item], value: int, *, key: PlaceKey = by_run_seq
    ) -> Iterator[_Item]:
        """Yield what stands above a number, ascending.

        Args:
            decode: Makes an item of a line, or raises MalformedLineError.
            value: The number of the last record handled; 0 reads from the start.
            key: Which number.
        """
        source = self._source
        offset = find_above(source, whole_lines(source), key, value) if value > 0 else 0
        for line in lines_from(source, offset):
            item = self._decode(decode, line, offset)
            offset += len(line)
            if item is not None:
                yield item

    def below(
        self, decode: Callable[[bytes], _Item], value: int | None, *, key: PlaceKey = by_run_seq
    ) -> Iterator[_Item]:
        """Yield what stands below a number, descending; arguments as for :meth:`above`.

        Args:
            decode: As above.
            value: The number of the first record that is known; ``None`` begins with the newest.
            key: Which number.
        """
        end = whole_lines(self._source)
        offset = end if value is None else find_above(self._source, end, key, value - 1)
        for line in lines_back(self._source, offset):
            offset -= len(line)
            item = self._decode(decode, line, offset)
            if item is not None:
                yield item

    def _decode(self, decode: Callable[[bytes], _Item], line: bytes, offset: int) -> _Item | None:
        try:
            item = decode(line)
            if (item.thread_id, item.run_id) != self._run:
                raise MalformedLineError(f"a record of run {item.run_id}")  # noqa: TRY301 - one report for all
        except MalformedLineError as error:
            self._on_malformed(MalformedLine(self._path, self._number_of(offset), str(error)))
            return None
        return item

    def _number_of(self, offset: int) -> int:
        """Count the lines up to the one that begins at an offset; damage is rare, so it may."""
        number, position = 1, 0
        while position < offset:
            block = self._source.read(position, min(_COUNT_BYTES, offset - position))
            number += block.count(b"\n")
            position += len(block)
        return number
