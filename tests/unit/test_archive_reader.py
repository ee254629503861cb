"""Reading an archive while it grows; its lock, its mark, its bounded open files."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from archived_run import RUN, lines_of, make_event, make_events, write_run

from bridge import RunRef
from store import (
    ArchiveLayout,
    ArchiveLockedError,
    ArchiveMarkError,
    ArchiveReader,
    ArchiveSettings,
    RunSeqHoleError,
)
from store.lock import ArchiveLock
from store.mark import ArchiveMark
from store.run_files import RunFiles


@pytest.fixture
def layout(tmp_path):
    return ArchiveLayout(tmp_path)


@pytest.fixture(params=["plain", "compressed"])
def archive(layout, request):
    """Write the bytes of a run's file: ``archive(lines)``; returns its path."""

    return partial(write_run, layout, is_compressed=request.param == "compressed")


def numbers(records):
    return [record.run_seq for record in records]


def test_a_run_is_read_from_the_start_or_after_any_record(archive, layout):
    archive(lines_of(make_events(1, 9)))
    reader = ArchiveReader(layout.root)
    assert numbers(reader.read_run(RUN)) == list(range(1, 10))
    assert numbers(reader.read_run(RUN, after_run_seq=4)) == [5, 6, 7, 8, 9]
    assert numbers(reader.read_run(RUN, after_run_seq=9)) == []
    assert numbers(reader.read_run(RUN, after_run_seq=2, limit=3)) == [3, 4, 5]
    assert numbers(reader.read_run(RUN, limit=0)) == []


def test_events_come_back_as_they_were(archive, layout):
    events = [*make_events(1, 3), make_event(4, metadata_json=b'{"k": [",\\"content\\":"]}')]
    archive(lines_of(events))
    reader = ArchiveReader(layout.root)
    found = list(reader.read_events(RUN, after_run_seq=1))
    assert found == events[1:]
    assert found[-1].metadata_json == events[-1].metadata_json
    assert found[-1].frame == events[-1].frame
    assert reader.find_last_event(RUN) == events[-1]
    assert reader.find_last_event(RunRef("thread-1", "nobody")) is None


def test_a_run_without_a_file_has_no_records_and_asking_creates_nothing(layout):
    assert list(ArchiveReader(layout.root).read_run(RUN)) == []
    assert list(layout.root.iterdir()) == []


def test_a_line_that_is_being_written_is_not_seen_until_it_is_whole(archive, layout):
    whole = lines_of(make_events(1, 3))
    for end in range(len(whole) + 1):
        archive(whole[:end])
        reader = ArchiveReader(layout.root, on_malformed=pytest.fail)
        assert numbers(reader.read_run(RUN)) == list(range(1, whole[:end].count(b"\n") + 1))


def test_malformed_lines_are_reported_counted_and_hide_no_neighbour(archive, layout):
    foreign = lines_of([make_event(2, run=RunRef("thread-1", "run-2"))])
    path = archive(
        lines_of([make_event(1)]) + b"\x00\x01\n[]\n" + foreign + lines_of([make_event(3)])
    )
    reported = []
    reader = ArchiveReader(layout.root, on_malformed=reported.append)
    assert numbers(reader.read_run(RUN)) == [1, 3]
    assert [(one.path, one.line_number) for one in reported] == [(path, 2), (path, 3), (path, 4)]
    assert reader.malformed_lines == 3
    assert "run-2" in reported[2].reason


def test_a_malformed_line_is_logged_unless_told_otherwise(archive, layout, caplog):
    archive(b"{}\n")
    assert list(ArchiveReader(layout.root).read_run(RUN)) == []
    (logged,) = caplog.records
    assert (logged.message, logged.line_number) == ("archive.line.malformed", 1)


def test_the_lock_has_one_holder_and_names_it(layout):
    first, second = ArchiveLock(layout.lock), ArchiveLock(layout.lock)
    first.acquire()
    with pytest.raises(ArchiveLockedError, match=f"process {os.getpid()}") as caught:
        second.acquire()
    assert caught.value.retryable
    first.release()
    second.acquire()
    second.release()


def test_the_lock_is_free_once_its_holder_was_killed(layout):
    holding = (
        "import sys, time\nfrom pathlib import Path\nfrom store.lock import ArchiveLock\n"
        "ArchiveLock(Path(sys.argv[1])).acquire()\nprint('held', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, layout.lock], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        lock = ArchiveLock(layout.lock)
        with pytest.raises(ArchiveLockedError, match=f"process {holder.pid}"):
            lock.acquire()
        holder.kill()
        holder.wait()
        lock.acquire()
        lock.release()


def test_the_mark_is_kept_and_starts_at_nothing(layout):
    mark = ArchiveMark(layout.mark)
    assert mark.read() == 0
    mark.write(17)
    mark.write(48213)
    assert ArchiveMark(layout.mark).read() == 48213
    assert [path.name for path in layout.root.iterdir()] == ["archive.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"last_seq":-1}', '{"last_seq":1,"version":2}']
)
def test_a_damaged_mark_is_an_error_that_names_the_file(layout, content):
    layout.mark.write_text(content)
    with pytest.raises(ArchiveMarkError, match=r"archive\.json"):
        ArchiveMark(layout.mark).read()


@pytest.fixture
def run_files(layout):
    files = RunFiles(layout, ArchiveSettings(max_open_files=3))
    yield files
    files.close()


def open_archive_files(layout):
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link for link in links if layout.threads in link.parents]


def test_open_files_are_bounded_and_closed_ones_are_opened_again(run_files, layout):
    runs = [RunRef("thread-1", f"run-{number}") for number in range(10)]
    for first, last in ((1, 2), (3, 5)):
        for run in runs:
            run_files.append({run: [make_event(n, run=run) for n in range(first, last + 1)]})
            assert len(open_archive_files(layout)) <= 3
    for run in runs:
        assert numbers(ArchiveReader(layout.root).read_run(run)) == [1, 2, 3, 4, 5]


def test_a_batch_that_cannot_be_written_leaves_nothing_of_it(run_files, layout):
    other = RunRef("thread-1", "run-2")
    run_files.append({RUN: make_events(1, 1)})
    with pytest.raises(RunSeqHoleError):
        run_files.append({RUN: make_events(2, 3), other: [make_event(2, run=other)]})
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 1))
    assert layout.run(other).read_bytes() == b""
    assert run_files.append({RUN: make_events(1, 3)}) == 2
