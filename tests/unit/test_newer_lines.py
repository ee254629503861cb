"""A file of the archive that a newer version has written: readers refuse it, none changes it."""

import pytest
from archived_run import RUN, compress, lines_of, make_event, make_events

from bridge import ColdTierError
from store import (
    Analytics,
    ArchiveColdTier,
    ArchiveLayout,
    ArchiveReader,
    NewerArchiveError,
    QueryError,
    Repairer,
    Verifier,
)
from store.dead_letters import DeadLetters
from store.run_file import RunFile


class EmptyLog:
    """A log that holds nothing any more."""

    async def read_after(self, run, run_seq, *, stream_seq=0, limit=500):  # noqa: ARG002
        return []


@pytest.fixture(params=["plain", "compressed"])
def layout(request, tmp_path):
    """An archive with one run: three lines of this version, and one of the next."""
    layout = ArchiveLayout(tmp_path)
    path = layout.run(RUN)
    path.parent.mkdir(parents=True)
    path.write_bytes(lines_of(make_events(1, 3)) + b'{"version":2,' + lines_of([make_event(4)])[1:])
    if request.param == "compressed":
        compress(layout)
    return layout


def read_all(layout):
    list(ArchiveReader(layout.root).read_run(RUN))


def read_behind(layout):
    list(ArchiveReader(layout.root).read_run(RUN, after_run_seq=3))


def read_last(layout):
    ArchiveReader(layout.root).find_last_event(RUN)


def open_as_sink(layout):
    RunFile(layout, RUN, DeadLetters(layout.dead_letters)).close()


@pytest.mark.parametrize("read", [read_all, read_behind, read_last, open_as_sink])
def test_readers_and_the_sink_name_the_version(layout, read):
    before = {path: path.read_bytes() for path in layout.threads.rglob("*.jsonl*")}
    with pytest.raises(NewerArchiveError, match=r"of version 2.*upgrade this process"):
        read(layout)
    assert {path: path.read_bytes() for path in layout.threads.rglob("*.jsonl*")} == before


async def test_followers_are_told_that_the_archive_cannot_be_read(layout):
    with pytest.raises(ColdTierError, match="of version 2"):
        await ArchiveColdTier(layout.root).read(RUN, after_run_seq=0, limit=10)


async def test_verifying_and_repairing_do_not_take_it_for_damage(layout):
    with pytest.raises(NewerArchiveError):
        await Verifier(layout, None).verify_run(RUN)
    with pytest.raises(NewerArchiveError):
        await Repairer(layout, EmptyLog()).repair(RUN)
    assert layout.leftovers(RUN) == []


def test_sql_does_not_count_its_lines(layout):
    with Analytics(layout.root) as analytics, pytest.raises(QueryError, match="newer version"):
        list(analytics.query("SELECT count(*) FROM records")[1])
