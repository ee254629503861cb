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
from store.jsonl import iterate_lines, line_start, lines_back
from store.line_search import PlaceKey, by_run_seq, find_above

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
    """One run's open file; a context manager. A run that has no file has no lines.

    Args:
        path: The file.
        run: The run.
        on_malformed: Called for each malformed line that is passed over.

    Raises:
        OSError: The file is there and cannot be read.
    """

    def __init__(self, path: Path, run: RunRef, on_malformed: OnMalformed) -> None:
        self._path = path
        self._run = run
        self._on_malformed = on_malformed
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            # Nothing to read, and nothing that could come while this reader is open.
            self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def above(
        self, decode: Callable[[bytes], _Item], value: int, *, key: PlaceKey = by_run_seq
    ) -> Iterator[_Item]:
        """Yield what stands above a number, ascending.

        Args:
            decode: Makes an item of a line, or raises MalformedLineError.
            value: The number of the last record handled; 0 reads from the start.
            key: Which number.
        """
        offset = find_above(self._fd, self._end(), key, value) if value > 0 else 0
        with os.fdopen(self._fd, "rb", closefd=False) as file:
            file.seek(offset)
            for line in iterate_lines(file):
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
        end = self._end()
        offset = end if value is None else find_above(self._fd, end, key, value - 1)
        for line in lines_back(self._fd, offset):
            offset -= len(line)
            item = self._decode(decode, line, offset)
            if item is not None:
                yield item

    def _end(self) -> int:
        return line_start(self._fd, os.fstat(self._fd).st_size)

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
            block = os.pread(self._fd, min(_COUNT_BYTES, offset - position), position)
            number += block.count(b"\n")
            position += len(block)
        return number
