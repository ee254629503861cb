"""What the sink's upkeep compresses and lets go, and what it must leave alone."""

import os
import time
from contextlib import asynccontextmanager

import pytest
from archived_run import compress, lines_of, make_event, make_events

from bridge import RunRef
from store import ArchiveLayout, ArchiveReader, ArchiveSettings, Verifier
from store.archiver import Archiver
from store.upkeep import Upkeep

DAY_S = 86_400.0
RUNS = [RunRef("thread-1", f"run-{n}") for n in range(4)]
END = {"event": "end", "category": "lifecycle"}


class Log:
    """Events that a log still holds."""

    def __init__(self):
        self.events = []
        self.deleted = set()

    async def is_deleted(self, run_id):
        return run_id in self.deleted

    async def is_logged(self, run):
        return any((event.thread_id, event.run_id) == run for event in self.events)

    async def read_after(self, run, run_seq, *, stream_seq=0, limit=500):  # noqa: ARG002
        own = [event for event in self.events if (event.thread_id, event.run_id) == run]
        return [event for event in own if event.run_seq > run_seq][:limit]


@pytest.fixture
def layout(tmp_path):
    return ArchiveLayout(tmp_path)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def write(layout):
    """Make a run's file that was written some time ago: ``write(run, days=3)``."""

    def write(run, *, days=1.0, count=500, is_ended=True):
        events = [make_event(n, run=run) for n in range(1, count + 1)]
        events += [make_event(count + 1, run=run, **END)] if is_ended else []
        path = layout.run(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lines_of(events))
        age(layout, run, days)
        return events

    return write


def age(layout, run, days):
    written_at = time.time() - days * DAY_S
    path = layout.run(run) if layout.run(run).exists() else layout.compressed(run)
    os.utime(path, (written_at, written_at))


@pytest.fixture
def upkeep(layout, log):
    """The upkeep of an archive: ``async with upkeep(max_age_s=...) as (upkeep, archiver)``."""

    @asynccontextmanager
    async def opened(**settings):
        given = ArchiveSettings(**{"compress_after_s": None, **settings})
        archiver = Archiver(log, layout, given)
        try:
            yield Upkeep(archiver, log, layout, given), archiver
        finally:
            archiver.close()

    return opened


def sizes(layout):
    return {run.run_id: len(list(ArchiveReader(layout.root).read_run(run))) for run in RUNS}


def forms(layout):
    return sorted(path.name for path in layout.run(RUNS[0]).parent.iterdir())


async def test_ended_runs_are_compressed_once_they_are_quiet_and_large_enough(
    layout, write, upkeep
):
    write(RUNS[0])
    write(RUNS[1], days=0)
    write(RUNS[2], is_ended=False)
    write(RUNS[3], count=5)
    async with upkeep(compress_after_s=3600, compress_min_bytes=10_000) as (keeping, archiver):
        before = await archiver.archived_run_seq(RUNS[0])
        await keeping.go_round()
        assert await archiver.archived_run_seq(RUNS[0]) == before == 501
        await keeping.go_round()
    assert forms(layout) == ["run-0.jsonl.zst", "run-1.jsonl", "run-2.jsonl", "run-3.jsonl"]
    assert sizes(layout) == {"run-0": 501, "run-1": 501, "run-2": 500, "run-3": 6}


async def test_a_crash_between_the_two_forms_is_healed_by_the_next_round(layout, write, upkeep):
    write(RUNS[0])
    content = layout.run(RUNS[0]).read_bytes()
    async with upkeep(compress_after_s=3600, compress_min_bytes=10_000) as (keeping, _):
        await keeping.go_round()
        layout.run(RUNS[0]).write_bytes(content)
        age(layout, RUNS[0], 1)
        await keeping.go_round()
    assert forms(layout) == ["run-0.jsonl.zst"]


async def test_old_runs_leave_but_for_their_end_and_then_that_too(layout, write, log, upkeep):
    for run, days in zip(RUNS, (9, 5, 8, 7), strict=True):
        write(run, days=days, is_ended=run != RUNS[3])
    log.events = [make_event(501, run=RUNS[0], **END)]
    async with upkeep(max_age_s=6 * DAY_S) as (keeping, archiver):
        await keeping.go_round()
        assert sizes(layout) == {"run-0": 1, "run-1": 501, "run-2": 1, "run-3": 500}
        # What retention of the log asks for is answered as before.
        assert await archiver.archived_run_seq(RUNS[0]) == 501
        # What comes again is passed over.
        await archiver.write([make_event(500, run=RUNS[0]), make_event(501, run=RUNS[0], **END)])
        assert sizes(layout)["run-0"] == 1
        await keeping.go_round()
        assert sizes(layout)["run-0"] == sizes(layout)["run-2"] == 1
        age(layout, RUNS[0], 7)
        age(layout, RUNS[2], 7)
        await keeping.go_round()
        # The log has forgotten one of them.
        assert sizes(layout) == {"run-0": 1, "run-1": 501, "run-2": 0, "run-3": 500}
    assert all([report.is_sound async for report in Verifier(layout, None).verify()])


async def test_above_its_size_the_archive_lets_the_oldest_ended_runs_go(layout, write, upkeep):
    for run, days in zip(RUNS, (2, 4, 3, 9), strict=True):
        write(run, days=days, count=4000, is_ended=run != RUNS[3])
    size = layout.run(RUNS[0]).stat().st_size
    async with upkeep(max_bytes=int(2.5 * size)) as (keeping, _):
        await keeping.go_round()
    # A run that goes on stays, however old it is.
    assert sizes(layout) == {"run-0": 4001, "run-1": 1, "run-2": 1, "run-3": 4000}


async def test_a_run_of_which_the_log_holds_more_stays(layout, write, log, upkeep):
    write(RUNS[0], days=9)
    log.events = [make_event(502, run=RUNS[0], event="deleted")]
    async with upkeep(max_age_s=DAY_S) as (keeping, _):
        await keeping.go_round()
        assert sizes(layout)["run-0"] == 501


async def test_nothing_leaves_unless_told_to(layout, write, upkeep):
    write(RUNS[0], days=3650)
    async with upkeep() as (keeping, _):
        await keeping.go_round()
    assert sizes(layout)["run-0"] == 501


async def test_what_was_compressed_leaves_as_well(layout, write, upkeep):
    write(RUNS[0], days=9)
    async with upkeep(compress_after_s=1, compress_min_bytes=1, max_age_s=DAY_S) as (keeping, _):
        await keeping.go_round()
        await keeping.go_round()
    assert sizes(layout)["run-0"] == 1
    assert forms(layout) == ["run-0.jsonl"]


async def test_a_damaged_file_keeps_no_other_one_from_what_is_due(layout, write, log, upkeep):
    for run in RUNS[:3]:
        write(run, days=9)
        compress(layout, run)
    damaged = layout.compressed(RUNS[0])
    damaged.write_bytes(damaged.read_bytes()[:-1])
    for run, days in zip(RUNS[:3], (9, 8, 7), strict=True):
        age(layout, run, days)
    log.deleted = {"run-0", "run-1"}
    async with upkeep(max_age_s=DAY_S) as (keeping, archiver):
        await keeping.erase_deleted()
        assert (await archiver.archived_run_seq(RUNS[1])) == 502  # its marker
        await keeping.go_round()
        assert len(list(ArchiveReader(layout.root).read_run(RUNS[2]))) == 1
    assert damaged.exists()


async def test_the_directories_of_a_thread_go_with_its_last_run(layout, write, upkeep):
    write(RUNS[0], days=9, count=0)
    async with upkeep(max_age_s=DAY_S) as (keeping, archiver):
        await keeping.go_round()
        assert list(layout.threads.iterdir()) == []
        # A run that comes then makes them again.
        await archiver.write(make_events(1, 3))
    assert len(list(ArchiveReader(layout.root).read_run(RunRef("thread-1", "run-1")))) == 3


async def test_a_deletion_that_no_sink_has_heard_of_is_caught_up_with(layout, write, log, upkeep):
    write(RUNS[0])
    write(RUNS[1])
    compress(layout, RUNS[1])
    write(RUNS[2])
    log.deleted = {"run-0", "run-1"}
    async with upkeep() as (keeping, archiver):
        for _ in range(2):
            await keeping.erase_deleted()
            assert sizes(layout) == {"run-0": 1, "run-1": 1, "run-2": 501, "run-3": 0}
        # What is delivered late does not bring it back.
        await archiver.write([make_event(501, run=RUNS[0], **END)])
        assert sizes(layout)["run-0"] == 1
    assert forms(layout) == ["run-0.jsonl", "run-1.jsonl", "run-2.jsonl"]
