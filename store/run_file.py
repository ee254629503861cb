"""One run's file, written by the rule that keeps it exact.

A record is appended only when its run_seq is that of the last line plus one. What comes again is
dropped, and what comes too early waits until the events before it were read from the log. So the
file holds every event once and in order, whatever is redelivered, and to whichever process.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final, NamedTuple

from bridge import RunRef, StreamEvent
from store.dead_letters import INVALID_PAYLOAD, RUN_SEQ_REUSED, DeadLetters
from store.errors import (
    InvalidPayloadError,
    LogReplacedError,
    MalformedLineError,
    RunSeqHoleError,
)
from store.jsonl import JsonlFile
from store.layout import ArchiveLayout
from store.lines import lines_back, whole_lines
from store.record import encode_line, encode_placeholder, parse_line
from store.run_forms import drop_compressed, is_compressed, open_run, thaw


class Tail(NamedTuple):
    """The place of a file's last record: its sequence in the log, and in its run."""

    seq: int
    run_seq: int


NO_TAIL: Final = Tail(0, 0)


class RunFile:
    """The open file of one run. Only the holder of the archive's lock may make one.

    Its methods block; call them outside of the event loop.

    Args:
        layout: The archive.
        run: The run; its file and directories are created when absent.
        dead_letters: Takes what cannot be archived as it is.
    """

    def __init__(self, layout: ArchiveLayout, run: RunRef, dead_letters: DeadLetters) -> None:
        self._layout = layout
        self._run = run
        self._dead_letters = dead_letters
        # What comes of a compressed run is nearly always known: it is compressed when it has ended.
        self._lines = None if is_compressed(layout, run) else self._open_plain()
        try:
            self._tail = self._durable_tail = self._read_tail()
        except BaseException:
            self.close()
            raise

    def _open_plain(self) -> JsonlFile:
        lines = JsonlFile(self._layout.run(self._run), root=self._layout.root)
        drop_compressed(self._layout, self._run)  # a crash has left it
        return lines

    def _read_tail(self) -> Tail:
        if self._lines is not None:
            return _tail_of(self._run, self._lines.lines_from_end())
        with closing(open_run(self._layout, self._run)) as source:
            return _tail_of(self._run, lines_back(source, whole_lines(source)))

    @property
    def tail(self) -> Tail:
        """The place of the last record, synced or not; ``NO_TAIL`` in an empty file."""
        return self._tail

    def append(self, events: Sequence[StreamEvent], *, is_gap_known: bool = False) -> int:
        """Append those events that the file does not hold, with one write.

        Args:
            events: Events of this run, ascending by run_seq.
            is_gap_known: Whether events may be missing before or between them, because the log
                was asked and no longer holds them.

        Returns:
            How many were appended; the others were there already.

        Raises:
            RunSeqHoleError: Events are missing that may still be in the log; nothing was written.
            LogReplacedError: The sequences fall behind those of the file; nothing was written.
            OSError: The disk refused; nothing since the last :meth:`sync` remains.
        """
        tail = self._tail
        fresh: list[StreamEvent] = []
        for event in events:
            if event.run_seq <= tail.run_seq:
                self._check_known(event, tail)
                continue
            if event.run_seq > tail.run_seq + 1 and not is_gap_known:
                raise RunSeqHoleError(self._run.run_id, tail.run_seq + 1, event.run_seq)
            if event.event_id.stream_seq <= tail.seq:
                raise LogReplacedError(self._layout.root, tail.seq, event.event_id.stream_seq)
            fresh.append(event)
            tail = Tail(*event.event_id)
        if fresh:
            self._write(fresh, tail)
        return len(fresh)

    def _check_known(self, event: StreamEvent, tail: Tail) -> None:
        # A redelivery stands at or before the tail in the log, too. This one was stored later
        # under a number that was taken: its publisher does not compare and set.
        if event.event_id.stream_seq > tail.seq:
            self._dead_letters.add_event(
                event, RUN_SEQ_REUSED, f"the run had reached {tail.run_seq} before"
            )

    def _write(self, events: Sequence[StreamEvent], tail: Tail) -> None:
        if self._lines is None:
            thaw(self._layout, self._run)
            self._lines = self._open_plain()
        try:
            self._lines.append(b"".join([self._encode(event) for event in events]))
        except OSError:
            self._tail = self._durable_tail
            raise
        self._tail = tail

    def _encode(self, event: StreamEvent) -> bytes:
        try:
            return encode_line(event)
        except InvalidPayloadError as error:
            self._dead_letters.add_event(event, INVALID_PAYLOAD, str(error))
            return encode_placeholder(event, INVALID_PAYLOAD)

    def sync(self) -> None:
        """Make what was appended durable.

        Raises:
            OSError: The disk refused; nothing since the last call remains.
        """
        if self._lines is None:
            return
        try:
            self._lines.sync()
        except OSError:
            self._tail = self._durable_tail
            raise
        self._durable_tail = self._tail

    def take_back(self) -> None:
        """Remove what was appended since the last :meth:`sync`."""
        if self._lines is not None:
            self._lines.take_back()
        self._tail = self._durable_tail

    def close(self) -> None:
        """Close the file without syncing."""
        if self._lines is not None:
            self._lines.close()


def _tail_of(run: RunRef, lines: Iterator[bytes]) -> Tail:
    # A damaged line in the middle of a file is a matter of readers; the last sound one says how far
    # the file has come, and what the damaged one held is read from the log again.
    for line in lines:
        try:
            record = parse_line(line)
        except MalformedLineError:
            continue
        if (record.thread_id, record.run_id) == run:
            return Tail(record.seq, record.run_seq)
    return NO_TAIL
