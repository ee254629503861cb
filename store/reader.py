"""Read the archive of a run while it may be growing, from any place, with bounded memory.

A reader sees whole records only, in the order of the run.
"""

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bridge import RunRef, StreamEvent
from store.layout import ArchiveLayout
from store.record import Record, decode_event, parse_line
from store.run_forms import open_run
from store.run_lines import MalformedLine, OnMalformed, RunLines

_LOG = logging.getLogger(__name__)


class ArchiveReader:
    """Reads the files of one archive; any number may read while a sink writes.

    Its methods block on the disk; call them outside of the event loop.

    Args:
        root: The data directory.
        on_malformed: Called for each malformed line that is passed over; it is logged by default.

    Attributes:
        malformed_lines: How many were passed over by this reader so far.
    """

    def __init__(self, root: Path, on_malformed: OnMalformed | None = None) -> None:
        self.layout = ArchiveLayout(root)
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
        with self.open(run) as lines:
            yield from islice(lines.above(parse_line, after_run_seq), limit)

    def read_events(self, run: RunRef, *, after_run_seq: int = 0) -> Iterator[StreamEvent]:
        """Iterate over a run's records as the events that they were; as :meth:`read_run`."""
        with self.open(run) as lines:
            yield from lines.above(decode_event, after_run_seq)

    def find_last_event(self, run: RunRef) -> StreamEvent | None:
        """Return the newest archived event of a run; errors as for :meth:`read_run`."""
        with self.open(run) as lines:
            return next(lines.below(decode_event, None), None)

    def open(self, run: RunRef) -> RunLines:
        """Open a run's file for reading at any place; errors as for :meth:`read_run`."""
        try:
            source = open_run(self.layout, run)
        except FileNotFoundError:
            source = None
        return RunLines(source, self.layout.run(run), run, self._count_malformed)

    def _count_malformed(self, line: MalformedLine) -> None:
        self.malformed_lines += 1
        self._on_malformed(line)


def _log_malformed(line: MalformedLine) -> None:
    _LOG.warning("archive.line.malformed", extra={**line._asdict(), "path": str(line.path)})
