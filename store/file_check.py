"""Check one run's file by itself, line by line: damage, order, duplicates, holes."""

from bridge import RunRef
from bridge.events import DELETED, TERMINAL_EVENTS
from store.errors import MalformedLineError
from store.findings import Finding, FindingKind
from store.record import Record, parse_line

#: More are counted and not kept.
_MAX_FINDINGS = 100
_LAST_LINES = TERMINAL_EVENTS | {DELETED}


class FileCheck:
    """Takes the lines of a file in order and remembers what is wrong with them.

    Attributes:
        records: Sound records so far.
        last_run_seq: The highest number so far.
        findings: What is wrong, the first hundred.
        finding_count: How many things are.
    """

    def __init__(self, run: RunRef) -> None:
        self._run = run
        self._line_number = 0
        self._last_seq = 0
        self._ended_by = ""
        self.records = 0
        self.last_run_seq = 0
        self.findings: list[Finding] = []
        self.finding_count = 0

    def take(self, line: bytes) -> None:
        """Check the next line."""
        self._line_number += 1
        try:
            record = parse_line(line)
        except MalformedLineError as error:
            self.add(FindingKind.DAMAGE, str(error))
            return
        if (record.thread_id, record.run_id) != self._run:
            self.add(FindingKind.DAMAGE, f"a record of run {record.run_id}", record.run_seq)
            return
        self.records += 1
        self._check_place(record)

    def _check_place(self, record: Record) -> None:
        expected = self.last_run_seq + 1
        # Of a run that was erased, or has left the archive, nothing but the last line stays.
        is_end_only = record.event_type in _LAST_LINES and self.records == 1
        if record.run_seq < expected:
            kind = FindingKind.DUPLICATE if record.seq <= self._last_seq else FindingKind.ORDER
            self.add(kind, f"event {self.last_run_seq} came before", record.run_seq)
            return
        if record.run_seq > expected and not is_end_only:
            count = record.run_seq - expected
            self.add(FindingKind.HOLE, f"{count} missing", expected, record.run_seq - 1)
        if record.seq <= self._last_seq:
            self.add(FindingKind.ORDER, f"sequence {self._last_seq} came before", record.run_seq)
        if self._ended_by:
            self.add(FindingKind.ORDER, f"the run had ended with {self._ended_by}", record.run_seq)
        if record.event_type in TERMINAL_EVENTS:
            self._ended_by = record.event_type
        self.last_run_seq, self._last_seq = record.run_seq, max(self._last_seq, record.seq)

    def add(self, kind: FindingKind, detail: str, first: int = 0, last: int = 0) -> None:
        """Remember something that is wrong at the line taken last.

        Args:
            kind: What it is.
            detail: For a person to read.
            first: The run_seq of the first event that it is about; 0 when unknown.
            last: That of the last one, when there are several.
        """
        self.finding_count += 1
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(
                Finding(
                    kind=kind,
                    line_number=self._line_number,
                    first_run_seq=first,
                    last_run_seq=last or first,
                    detail=detail,
                )
            )
