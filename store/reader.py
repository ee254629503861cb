"""Read the archive of one run, line by line, while it may be growing.

A reader sees whole records only, in the order of the run, and holds one line in memory.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from bridge import RunRef
from store.errors import MalformedLineError
from store.jsonl import iterate_lines
from store.layout import ArchiveLayout
from store.record import Record, find_place, parse_line

_LOG = logging.getLogger(__name__)


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


class ArchiveReader:
    """Reads the files of one archive; any number may read while a sink writes.

    Its methods block on the disk; call them outside of the event loop.

    Args:
        root: The data directory.
        on_malformed: Called for each malformed line that is passed over; it is logged by default.
    """

    def __init__(self, root: Path, on_malformed: OnMalformed | None = None) -> None:
        self._layout = ArchiveLayout(root)
        self._on_malformed = on_malformed or _log_malformed
        self.malformed_lines = 0

    def read_run(
        self, run: RunRef, *, after_run_seq: int = 0, limit: int | None = None
    ) -> Iterator[Record]:
        """Iterate over a run's records.

        Args:
            run: The run. One that has no file has no records.
            after_run_seq: The run_seq of the last record handled; 0 reads from the start.
            limit: At most so many records; 0 gives none, ``None`` all.

        Yields:
            Records, ascending by run_seq. A malformed line is counted, reported and passed over;
            the jump of run_seq shows it.

        Raises:
            InvalidIdError: An id is not one subject token.
            OSError: The file cannot be read.
        """
        for _, record in self._read(run, after_run_seq, limit):
            yield record

    def read_lines(
        self, run: RunRef, *, after_run_seq: int = 0, limit: int | None = None
    ) -> Iterator[bytes]:
        """Iterate over a run's lines as they are in the file; as :meth:`read_run` otherwise."""
        for line, _ in self._read(run, after_run_seq, limit):
            yield line

    def _read(
        self, run: RunRef, after_run_seq: int, limit: int | None
    ) -> Iterator[tuple[bytes, Record]]:
        path = self._layout.run(run)
        if limit == 0:
            return
        yielded = 0
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            for number, line in enumerate(iterate_lines(file), start=1):
                place = find_place(line)
                if place is not None and place.run_seq <= after_run_seq:
                    continue
                record = self._parse(line, run, path, number)
                if record is not None and record.run_seq > after_run_seq:
                    yield line, record
                    yielded += 1
                if yielded == limit:
                    return

    def _parse(self, line: bytes, run: RunRef, path: Path, number: int) -> Record | None:
        try:
            return _parse_own(line, run)
        except MalformedLineError as error:
            self.malformed_lines += 1
            self._on_malformed(MalformedLine(path, number, str(error)))
            return None


def _parse_own(line: bytes, run: RunRef) -> Record:
    record = parse_line(line)
    if (record.thread_id, record.run_id) != run:
        raise MalformedLineError(f"a record of run {record.run_id}")
    return record


def _log_malformed(line: MalformedLine) -> None:
    _LOG.warning("archive.line.malformed", extra={**line._asdict(), "path": str(line.path)})
