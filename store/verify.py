"""Compare the archive with the log, run by run, and say what is wrong.

Nothing is changed, and a sink may go on writing meanwhile: what it has not written yet counts as
behind, not as missing. Memory does not grow with the size of a run.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import closing
from typing import Final, Protocol

from bridge import RunRef, StreamEvent
from bridge.events import DELETED
from store.errors import DamagedFileError
from store.file_bytes import FileBytes
from store.file_check import FileCheck
from store.findings import Finding, FindingKind, RunReport
from store.layout import ArchiveLayout
from store.line_search import by_run_seq, find_above
from store.lines import lines_from, whole_lines
from store.record import encode_archived, find_place
from store.run_forms import open_run

_PAGE: Final = 500


class Log(Protocol):
    """What verifying and repairing ask of the log."""

    async def read_after(
        self, run: RunRef, run_seq: int, *, stream_seq: int = 0, limit: int = 500
    ) -> list[StreamEvent]:
        """Return the run's next events after ``run_seq``, ascending; none when it has no more."""

    def newest_events(self) -> AsyncIterator[Sequence[StreamEvent]]:
        """Yield the newest event of every run, page by page."""


class Verifier:
    """Verifies runs one after another.

    Args:
        layout: The archive.
        log: The log that it was written from; ``None`` checks the files alone.
    """

    def __init__(self, layout: ArchiveLayout, log: Log | None) -> None:
        self._layout = layout
        self._log = log

    async def verify(self, *, thread_id: str | None = None) -> AsyncGenerator[RunReport]:
        """Verify all runs that have a file, and those of the log that have none.

        Args:
            thread_id: Only those of this thread; ``None`` means all.

        Raises:
            OSError: A file cannot be read.
            UnavailableError: The log fell silent.
        """
        runs = self._layout.all_runs() if thread_id is None else self._layout.runs(thread_id)
        for run in runs:
            yield await self.verify_run(run)
        if self._log is None:
            return
        async for page in self._log.newest_events():
            for newest in page:
                run = RunRef(newest.thread_id, newest.run_id)
                if thread_id in (None, run.thread_id) and not self._layout.has(run):
                    yield _report(run, FileCheck(run), behind=newest.run_seq)

    async def verify_run(self, run: RunRef) -> RunReport:
        """Verify one run; errors as for :meth:`verify`."""
        check = await asyncio.to_thread(_check_file, self._layout, run)
        if self._log is None:
            return _report(run, check, behind=0)
        log_begins, last_run_seq = await self._compare(self._log, run, check)
        findings = [_with_log(finding, log_begins) for finding in check.findings]
        check.findings = findings
        return _report(run, check, behind=max(0, last_run_seq - check.last_run_seq))

    async def _compare(self, log: Log, run: RunRef, check: FileCheck) -> tuple[int, int]:
        """Compare the file with the log; return the first and the last number in the log."""
        begins = reached = seq = 0
        while events := await log.read_after(run, reached, stream_seq=seq, limit=_PAGE):
            if events[-1].event == DELETED:
                break
            begins = begins or events[0].run_seq
            archived = [event for event in events if event.run_seq <= check.last_run_seq]
            if archived:
                await asyncio.to_thread(_compare_page, self._layout, archived, check)
            seq, reached = events[-1].event_id
        return begins, reached


def _check_file(layout: ArchiveLayout, run: RunRef) -> FileCheck:
    check = FileCheck(run)
    try:
        source = open_run(layout, run)
    except DamagedFileError as error:
        check.add(FindingKind.DAMAGE, str(error))
        return check
    with closing(source):
        for line in lines_from(source, 0):
            check.take(line)
    return check


def _compare_page(layout: ArchiveLayout, events: Sequence[StreamEvent], check: FileCheck) -> None:
    run = RunRef(events[0].thread_id, events[0].run_id)
    with closing(open_run(layout, run)) as source:
        lines = _lines_between(source, events[0].run_seq, events[-1].run_seq)
    for event in events:
        line = lines.get(event.run_seq)
        if line is not None and line != encode_archived(event):
            check.add(FindingKind.DIFFERENCE, "not what the log holds", event.run_seq)


def _lines_between(source: FileBytes, first: int, last: int) -> dict[int, bytes]:
    lines: dict[int, bytes] = {}
    offset = find_above(source, whole_lines(source), by_run_seq, first - 1)
    for line in lines_from(source, offset):
        place = find_place(line)
        if place is not None and place.run_seq > last:
            break
        if place is not None and place.run_seq >= first:
            lines.setdefault(place.run_seq, line)
    return lines


def _with_log(finding: Finding, log_begins: int) -> Finding:
    if not finding.first_run_seq:
        return finding
    in_log = 0 < log_begins <= finding.first_run_seq
    return finding.model_copy(update={"in_log": in_log})


def _report(run: RunRef, check: FileCheck, *, behind: int) -> RunReport:
    return RunReport(
        thread_id=run.thread_id,
        run_id=run.run_id,
        records=check.records,
        last_run_seq=check.last_run_seq,
        behind=behind,
        findings=tuple(check.findings),
        finding_count=check.finding_count,
    )
