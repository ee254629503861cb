"""The records in the files of an archive, by sequence, read in small pieces off the event loop."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, ParamSpec, TypeVar

from bridge import ColdTierError, RunRef
from bridge.events import DELETED, TERMINAL_EVENTS
from store.line_search import by_seq
from store.merging import Records, RunSpan
from store.placing import shown
from store.reader import ArchiveReader
from store.record import Record, parse_line

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: The first piece takes a page of 50 in one search, because most pages are; later ones grow.
_FIRST_PIECE: Final = 64
_MAX_PIECE: Final = 512
_MAX_PIECE_BYTES: Final = 4 << 20


class FileRecords:
    """Reads records of any run; what a marker has erased is not there.

    Its methods raise ColdTierError when a file is there and cannot be read.

    Args:
        reader: Of the archive.
    """

    def __init__(self, reader: ArchiveReader) -> None:
        self._reader = reader

    async def spans(self, thread_id: str) -> list[RunSpan]:
        """Return the runs of a thread that have records; costs two short reads for each."""
        return await _in_thread(thread_id, self._spans, thread_id)

    def _spans(self, thread_id: str) -> list[RunSpan]:
        spans = []
        for run in self._reader.layout.runs(thread_id):
            with self._reader.open(run) as lines:
                first = next(lines.above(parse_line, 0), None)
                last = next(lines.below(parse_line, None), None)
            if first is not None and last is not None and last.event_type != DELETED:
                is_ended = last.event_type in TERMINAL_EVENTS
                spans.append(RunSpan(run, first.seq, last.seq, is_ended))
        return spans

    async def runs(self, thread_id: str) -> list[RunRef]:
        """Return the runs of a thread that have a file."""
        return await _in_thread(thread_id, self._reader.layout.runs, thread_id)

    async def find_last(self, run: RunRef) -> Record | None:
        """Return a run's newest record, a marker included; ``None`` when it has none."""
        return await _in_thread(run.run_id, self._find_last, run)

    def _find_last(self, run: RunRef) -> Record | None:
        with self._reader.open(run) as lines:
            return next(lines.below(parse_line, None), None)

    async def ascending(self, run: RunRef, after_seq: int) -> Records:
        """Yield a run's records above a sequence."""

        def read(after_seq: int, count: int) -> list[Record]:
            with self._reader.open(run) as lines:
                sizes = _Sizes()
                return _piece(lines.above(sizes.parse, after_seq, key=by_seq), count, sizes)

        size = _FIRST_PIECE
        while piece := await _in_thread(run.run_id, read, after_seq, size):
            for record in piece:
                yield record
            after_seq = piece[-1].seq
            size = min(size * 2, _MAX_PIECE)

    async def descending(self, run: RunRef, before_seq: int | None) -> Records:
        """Yield a run's records below a sequence, newest first; ``None`` begins with the last."""

        def read(before_seq: int | None, count: int) -> list[Record]:
            with self._reader.open(run) as lines:
                sizes = _Sizes()
                return _piece(lines.below(sizes.parse, before_seq, key=by_seq), count, sizes)

        size = _FIRST_PIECE
        while piece := await _in_thread(run.run_id, read, before_seq, size):
            for record in piece:
                yield record
            before_seq = piece[-1].seq
            size = min(size * 2, _MAX_PIECE)


async def _in_thread(what: str, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as error:
        raise ColdTierError(what, error.strerror or str(error)) from error


class _Sizes:
    """Parses lines and adds up how long they were."""

    def __init__(self) -> None:
        self.total = 0

    def parse(self, line: bytes) -> Record:
        self.total += len(line)
        return parse_line(line)


def _piece(records: Iterator[Record], count: int, sizes: _Sizes) -> list[Record]:
    piece = []
    for record in records:
        if record.event_type != DELETED:
            piece.append(shown(record))
        if len(piece) >= count or sizes.total >= _MAX_PIECE_BYTES:
            break
    return piece
