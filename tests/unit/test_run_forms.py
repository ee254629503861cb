"""A run's file in its two forms: what a crash leaves, what damage costs, what a writer does."""

import os
from contextlib import closing, contextmanager

import pytest
import zstandard
from archived_run import RUN, compress, lines_of, make_event, make_events

from bridge import encode_json
from store import ArchiveLayout, ArchiveReader, ArchiveSettings, Verifier
from store import run_forms as forms
from store.errors import DamagedFileError
from store.run_files import RunFiles
from store.run_forms import adopt_draft, open_run, thaw, write_draft
from store.zstd_file import FRAME_BYTES, CompressedBytes

END = {"event": "end", "category": "lifecycle"}
#: Several frames of it.
EVENTS = [*make_events(1, 4000), make_event(4001, **END)]


@pytest.fixture
def layout(tmp_path):
    return ArchiveLayout(tmp_path)


@pytest.fixture
def plain(layout):
    """A run's plain file."""
    path = layout.run(RUN)
    path.parent.mkdir(parents=True)
    path.write_bytes(lines_of(EVENTS))
    return path


@pytest.fixture
def run_files(layout):
    """Open what writes the archive: ``run_files()``, after whatever happened before."""
    opened = []

    def make():
        opened.append(RunFiles(layout, ArchiveSettings()))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def content_of(layout):
    with closing(open_run(layout, RUN)) as source:
        return source.read(0, source.size())


def names(layout):
    return {path.name for path in layout.run(RUN).parent.iterdir()}


def test_a_compressed_file_is_smaller_and_any_tool_reads_it(layout, plain):
    content, size = plain.read_bytes(), plain.stat().st_size
    written_at = plain.stat().st_mtime_ns
    compress(layout)
    path = layout.compressed(RUN)
    assert names(layout) == {path.name}
    assert path.stat().st_size < size / 5
    assert path.stat().st_mtime_ns == written_at
    with path.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        assert reader.read() == content


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 300_001])
def test_any_part_of_it_is_read_as_it_was(layout, plain, size):
    content = os.urandom(size)
    plain.write_bytes(content)
    compress(layout)
    with closing(open_run(layout, RUN)) as source:
        assert source.size() == size
        for start in (0, 1, size // 2, FRAME_BYTES - 3, FRAME_BYTES, size - 1, size, size + 5):
            for length in (0, 1, 7, FRAME_BYTES, size):
                assert source.read(max(0, start), length) == content[max(0, start) :][:length]


class KilledError(BaseException):
    """What a SIGKILL looks like from inside a test."""


@pytest.fixture
def killed_at(monkeypatch):
    """Let the process die at its n-th call that changes the disk: ``with killed_at(3):``."""

    @contextmanager
    def killed_at(number):
        calls = []

        def dying(function):
            def call(*args, **kwargs):
                calls.append(function)
                if len(calls) >= number:
                    raise KilledError
                return function(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            for owner, name in (
                (forms.Path, "replace"),
                (forms.Path, "unlink"),
                (forms, "sync_directory"),
                (forms.os, "fdatasync"),
            ):
                patch.setattr(owner, name, dying(getattr(owner, name)))
            with pytest.raises(KilledError):
                yield

    return killed_at


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("work", ["compress", "thaw"])
def test_wherever_a_change_of_form_is_killed_the_run_is_complete_and_goes_on(
    layout, plain, run_files, killed_at, work, step
):
    content = plain.read_bytes()
    if work == "thaw":
        compress(layout)
    with killed_at(step):
        compress(layout) if work == "compress" else thaw(layout, RUN)
    assert content_of(layout) == content
    # The next writer finds a sound file in one form.
    late = make_event(len(EVENTS) + 1)
    assert run_files().append({RUN: [EVENTS[-1], late]}) == 1
    assert content_of(layout) == content + lines_of([late])
    assert not layout.compressed(RUN).exists()
    compress(layout)
    assert content_of(layout) == content + lines_of([late])


def test_a_file_that_has_grown_since_is_not_replaced(layout, plain):
    size = write_draft(layout, RUN, lambda: True)
    with plain.open("ab") as file:
        file.write(lines_of([make_event(4002)]))
    assert not adopt_draft(layout, RUN, size)
    assert names(layout) == {plain.name}


def test_compressing_ends_when_it_is_told_to(layout, plain):
    answers = iter([True, True, False])
    assert write_draft(layout, RUN, lambda: next(answers)) is None
    assert names(layout) == {plain.name}


@pytest.mark.usefixtures("plain")
def test_events_that_come_again_do_not_bring_the_plain_file_back(layout, run_files):
    compress(layout)
    assert run_files().append({RUN: EVENTS[-20:]}) == 0
    assert names(layout) == {layout.compressed(RUN).name}


def test_an_event_that_is_new_is_appended_to_the_plain_file(layout, plain, run_files):
    compress(layout)
    late = make_event(4002)
    assert run_files().append({RUN: [EVENTS[-1], late]}) == 1
    assert names(layout) == {plain.name}
    assert content_of(layout) == lines_of([*EVENTS, late])


def test_an_erased_run_is_left_in_no_copy(layout, plain, run_files):
    compress(layout)
    directory = plain.parent
    for name in ("run-1.old-1", "run-1.old-2.zst", "run-1.draft", "run-1.tmp"):
        (directory / name).write_bytes(lines_of(EVENTS[:1]))
    (directory / "run-10.jsonl").write_bytes(b"another run's\n")
    marker = make_event(4002, event="deleted")
    run_files().erase(marker)
    assert names(layout) == {plain.name, "run-10.jsonl"}
    assert content_of(layout) == lines_of([marker])


@pytest.mark.usefixtures("plain")
async def test_a_damaged_frame_costs_its_lines_and_no_others(layout):
    compress(layout)
    path = layout.compressed(RUN)
    with closing(CompressedBytes(path)) as source:
        middle = source._table.places[2] + 50
    sound_before, sound_behind = 2 * FRAME_BYTES, 3 * FRAME_BYTES
    content = bytearray(path.read_bytes())
    content[middle] ^= 0xFF
    whole = lines_of(EVENTS)
    path.write_bytes(content)
    before = whole[:sound_before].count(b"\n")
    behind = len(EVENTS) - whole[sound_behind:].count(b"\n") + 1
    reported = []
    reader = ArchiveReader(layout.root, on_malformed=reported.append)
    found = [record.run_seq for record in reader.read_run(RUN)]
    assert found == [*range(1, before + 1), *range(behind + 1, len(EVENTS) + 1)]
    assert len(reported) == 1
    (report,) = [each async for each in Verifier(layout, None).verify()]
    assert {finding.kind.value for finding in report.findings} == {"damage", "hole"}


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("cut", [1, 9, 20, 100])
async def test_a_file_without_its_table_is_an_error_that_names_it(layout, cut):
    compress(layout)
    path = layout.compressed(RUN)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DamagedFileError, match=path.name):
        ArchiveReader(layout.root).find_last_event(RUN)
    (report,) = [each async for each in Verifier(layout, None).verify()]
    assert [finding.kind.value for finding in report.findings] == ["damage"]


def test_memory_does_not_grow_with_the_file(layout, plain):
    line = lines_of([make_event(1, payload=encode_json("x" * 1000))])
    with plain.open("wb") as file:
        for _ in range(20_000):
            file.write(line)
    compress(layout)
    with closing(open_run(layout, RUN)) as source:
        for offset in range(0, source.size(), 1000):
            source.read(offset, 100)
        assert sum(map(len, source._frames.values())) <= 2 * FRAME_BYTES
