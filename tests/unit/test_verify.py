"""Verifying says what is wrong with a file and nothing else; repairing brings back what is left."""

from contextlib import closing
from functools import partial

import pytest
import zstandard
from archived_run import RUN, lines_of, make_event, make_events, write_run

from bridge import RunRef
from store import (
    ArchiveLayout,
    ArchiveLockedError,
    FindingKind,
    Repairer,
    RunNotArchivedError,
    Verifier,
    encode_line,
)
from store.lock import ArchiveLock
from store.run_forms import open_run

TERMINAL = {"event": "end", "category": "lifecycle"}


class Log:
    """Events that a log holds."""

    def __init__(self, *events):
        self._events = events

    async def read_after(self, run, run_seq, *, stream_seq=0, limit=500):  # noqa: ARG002
        own = [event for event in self._events if (event.thread_id, event.run_id) == run]
        return [event for event in own if event.run_seq > run_seq][:limit]

    async def newest_events(self):
        newest = {(event.thread_id, event.run_id): event for event in self._events}
        yield list(newest.values())


@pytest.fixture
def layout(tmp_path):
    return ArchiveLayout(tmp_path)


@pytest.fixture(params=["plain", "compressed"])
def write(layout, request):
    """Make a run's file in either form: ``write(lines)``; returns the path of the plain one."""

    return partial(write_run, layout, is_compressed=request.param == "compressed")


def content_of(layout):
    """What a reader of the run's file gets, in whichever form it is."""
    with closing(open_run(layout, RUN)) as source:
        return source.read(0, source.size())


async def verified(layout, log=None):
    return [report async for report in Verifier(layout, log).verify()]


def facts(report):
    return [
        (finding.kind.value, finding.line_number, finding.first_run_seq, finding.last_run_seq)
        for finding in report.findings
    ]


FIRST, SECOND, THIRD = (encode_line(event) for event in make_events(1, 3))
FILES = {
    "whole": (lines_of(make_events(1, 3)), []),
    "torn at its end": (FIRST + SECOND[:50], []),
    "empty": (b"", []),
    "erased": (lines_of([make_event(9, event="deleted", category="lifecycle")]), []),
    "hole": (lines_of([*make_events(1, 2), *make_events(6, 7)]), [("hole", 3, 3, 5)]),
    "no start": (lines_of(make_events(3, 4)), [("hole", 1, 1, 2)]),
    "duplicate": (FIRST + SECOND + SECOND + THIRD, [("duplicate", 3, 2, 2)]),
    "damage": (FIRST + b"\x00" * 9 + b"\n" + SECOND, [("damage", 2, 0, 0)]),
    "no object": (FIRST + b"[]\n" + SECOND, [("damage", 2, 0, 0)]),
    "another run": (
        FIRST + lines_of([make_event(2, run=RunRef("thread-1", "run-2"))]) + SECOND,
        [("damage", 2, 2, 2)],
    ),
    "order": (FIRST + THIRD + SECOND, [("hole", 2, 2, 2), ("duplicate", 3, 2, 2)]),
    "sequence back": (
        FIRST + lines_of([make_event(2, seq=30), make_event(3, seq=25)]),
        [("order", 3, 3, 3)],
    ),
    "after the end": (
        FIRST + lines_of([make_event(2, **TERMINAL), make_event(3)]),
        [("order", 3, 3, 3)],
    ),
}


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
async def test_a_file_by_itself(layout, write, content, expected):
    write(content)
    (report,) = await verified(layout)
    assert facts(report) == expected
    assert report.is_sound == (not expected)


async def test_a_file_that_agrees_with_the_log_is_sound(layout, write):
    events = make_events(1, 1200)
    write(lines_of(events[:1100]))
    (report,) = await verified(layout, Log(*events[700:]))
    assert report.is_sound
    assert (report.records, report.last_run_seq, report.behind) == (1100, 1100, 100)


async def test_what_differs_from_the_log_is_found(layout, write):
    events = make_events(1, 5)
    write(lines_of([*events[:3], make_event(4, payload=b'{"n": 5}'), events[4]]))
    (report,) = await verified(layout, Log(*events))
    assert [(finding.kind, finding.first_run_seq) for finding in report.findings] == [
        (FindingKind.DIFFERENCE, 4)
    ]


async def test_it_is_said_whether_the_log_still_holds_what_is_missing(layout, write):
    events = make_events(1, 9)
    write(lines_of([events[0], *events[3:5], *events[7:]]))
    (report,) = await verified(layout, Log(*events[5:]))
    assert [finding.in_log for finding in report.findings] == [False, True]


async def test_a_run_without_a_file_is_behind_and_not_broken(layout, write):
    write(lines_of(make_events(1, 3)))
    other = RunRef("thread-2", "run-2")
    log = Log(*make_events(1, 3), *(make_event(n, run=other) for n in (1, 2)))
    first, second = await verified(layout, log)
    assert (first.behind, second.run, second.behind, second.is_sound) == (0, other, 2, True)


async def test_many_findings_are_counted_and_the_first_hundred_kept(layout, write):
    write(b"x\n" * 250)
    (report,) = await verified(layout)
    assert (report.finding_count, len(report.findings)) == (250, 100)


async def test_a_repair_takes_from_the_log_what_it_holds_and_keeps_the_old_file(layout, write):
    events = make_events(1, 1300)
    broken = (
        lines_of(events[:3]) + b"\x00\n" + lines_of(events[2:5]) + lines_of([make_event(900)])
        + lines_of([make_event(901, payload=b"1")]) + lines_of(events[7:9])
    )  # fmt: skip
    path = write(broken)
    log = Log(*events[6:])
    done = await Repairer(layout, log).repair(RUN)
    assert (done.from_log, done.from_file, done.dropped_lines) == (1294, 5, 2)
    old = done.kept.read_bytes()
    if done.kept.suffix == ".zst":
        old = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(old)
    assert old == broken
    assert path.read_bytes() == lines_of([*events[:5], *events[6:]])
    (report,) = await verified(layout, log)
    assert facts(report) == [("hole", 6, 6, 6)]
    assert report.findings[0].in_log is False


async def test_a_sound_file_is_the_same_after_a_repair(layout, write):
    events = make_events(1, 20)
    path = write(lines_of(events))
    for log in (Log(), Log(*events), Log(*events[10:])):
        await Repairer(layout, log).repair(RUN)
        assert path.read_bytes() == lines_of(events)


async def test_nothing_is_repaired_while_a_sink_is_at_work(layout, write):
    write(FIRST + b"x\n")
    lock = ArchiveLock(layout.lock)
    lock.acquire()
    with pytest.raises(ArchiveLockedError):
        await Repairer(layout, Log(*make_events(1, 3))).repair(RUN)
    lock.release()
    assert content_of(layout) == FIRST + b"x\n"


async def test_a_run_without_a_file_is_left_to_the_sink(layout):
    with pytest.raises(RunNotArchivedError):
        await Repairer(layout, Log(*make_events(1, 3))).repair(RUN)
