"""One run's file: each event once and in order, whatever comes again, tears or fails."""

import errno
import os
from pathlib import Path

import orjson
import pytest
from archived_run import RUN, lines_of, make_event, make_events
from hypothesis import given
from hypothesis import strategies as st

from bridge import InvalidIdError, RunRef, encode_json
from store import (
    ArchiveLayout,
    ArchiveReader,
    LogReplacedError,
    RunSeqHoleError,
    encode_line,
    parse_line,
)
from store.dead_letters import DeadLetters
from store.jsonl import JsonlFile
from store.run_file import NO_TAIL, RunFile, Tail


@pytest.fixture
def layout(tmp_path):
    return ArchiveLayout(tmp_path)


@pytest.fixture
def open_file(layout):
    """Open the run's file as a new process would; all are closed at the end."""
    opened = []

    def open_one(run=RUN):
        letters = DeadLetters(layout.dead_letters)
        opened.extend([RunFile(layout, run, letters), letters])
        return opened[-2]

    yield open_one
    for one in opened:
        one.close()


def append_and_sync(file, events, **options):
    count = file.append(events, **options)
    file.sync()
    return count


def dead_letters(layout):
    if not layout.dead_letters.exists():
        return []
    return [orjson.loads(line) for line in layout.dead_letters.read_bytes().splitlines()]


def test_a_new_file_is_empty_and_has_no_tail(open_file, layout):
    file = open_file()
    assert file.tail == NO_TAIL
    path = layout.root / "threads" / "thread-1" / "runs" / "run-1.jsonl"
    assert path.read_bytes() == b""


def test_events_that_follow_are_appended_as_their_lines(open_file, layout):
    file = open_file()
    assert append_and_sync(file, make_events(1, 3)) == 3
    assert append_and_sync(file, make_events(4, 5)) == 2
    assert file.tail == Tail(50, 5)
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 5))


def test_what_comes_again_is_dropped(open_file, layout):
    file = open_file()
    append_and_sync(file, make_events(1, 5))
    assert append_and_sync(file, make_events(2, 4)) == 0
    assert append_and_sync(file, make_events(4, 7)) == 2
    assert file.append([make_event(8), make_event(8)]) == 1
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 8))
    assert dead_letters(layout) == []


def test_what_comes_too_early_is_refused_and_nothing_is_written(open_file, layout):
    file = open_file()
    append_and_sync(file, make_events(1, 2))
    with pytest.raises(RunSeqHoleError) as caught:
        file.append([make_event(3), make_event(5)])
    assert (caught.value.expected, caught.value.found) == (4, 5)
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 2))
    assert append_and_sync(file, make_events(3, 5)) == 3


def test_a_gap_that_the_log_confirmed_is_passed_and_shows_as_a_jump(open_file, layout):
    file = open_file()
    append_and_sync(file, make_events(1, 2))
    append_and_sync(file, [make_event(5)], is_gap_known=True)
    lines = layout.run(RUN).read_bytes().splitlines()
    assert [parse_line(line).run_seq for line in lines] == [1, 2, 5]
    assert file.append([make_event(6)]) == 1


def test_a_sequence_that_falls_back_means_another_log(open_file, layout):
    file = open_file()
    append_and_sync(file, make_events(1, 3))
    with pytest.raises(LogReplacedError):
        file.append([make_event(4, seq=7)])
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 3))


def test_an_event_stored_later_under_a_number_that_was_taken_becomes_a_dead_letter(
    open_file, layout
):
    file = open_file()
    append_and_sync(file, make_events(1, 3))
    assert append_and_sync(file, [make_event(2, seq=99, payload=b"[1]")]) == 0
    (letter,) = dead_letters(layout)
    assert (letter["cause"], letter["seq"], letter["run_seq"]) == ("run-seq-reused", 99, 2)
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 3))


def test_an_invalid_payload_becomes_a_dead_letter_and_blocks_nothing(open_file, layout):
    file = open_file()
    bad = make_event(2, payload=b'{"a":NaN}\n')
    append_and_sync(file, [make_event(1), bad, make_event(3)])
    (letter,) = dead_letters(layout)
    assert letter["cause"] == "invalid-payload"
    assert letter["payload_base64"] == "eyJhIjpOYU59Cg=="
    records = [parse_line(line) for line in layout.run(RUN).read_bytes().splitlines()]
    assert [record.run_seq for record in records] == [1, 2, 3]
    assert records[1].content is None
    assert records[1].metadata == {"dead_letter": "invalid-payload"}


@given(
    payloads=st.lists(st.text(max_size=30).map(encode_json), min_size=1, max_size=5),
    torn_at=st.integers(min_value=0),
)
def test_wherever_a_write_tears_the_next_process_ends_with_whole_lines(
    tmp_path_factory, payloads, torn_at
):
    layout = ArchiveLayout(tmp_path_factory.mktemp("archive"))
    events = [make_event(n, payload=payload) for n, payload in enumerate(payloads, start=1)]
    whole = lines_of(events)
    torn = whole[: torn_at % (len(whole) + 1)]
    path = layout.run(RUN)
    path.parent.mkdir(parents=True)
    path.write_bytes(torn)
    file = RunFile(layout, RUN, DeadLetters(layout.dead_letters))
    assert path.read_bytes() == torn[: torn.rfind(b"\n") + 1]
    assert file.tail.run_seq == torn.count(b"\n")
    file.append(events)
    file.close()
    assert path.read_bytes() == whole


@given(batches=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6)), max_size=12))
def test_whatever_is_redelivered_in_whatever_pieces_each_event_is_there_once_in_order(
    tmp_path_factory, batches
):
    layout = ArchiveLayout(tmp_path_factory.mktemp("archive"))
    reached = 0
    for start, length in batches:
        file = RunFile(layout, RUN, DeadLetters(layout.dead_letters))
        assert file.tail.run_seq == reached
        events = make_events(start + 1, start + length)
        if start > reached:
            with pytest.raises(RunSeqHoleError):
                file.append(events)
        else:
            reached = max(reached, start + len(events))
            append_and_sync(file, events)
        file.close()
    content = layout.run(RUN).read_bytes() if batches else b""
    assert content == lines_of(make_events(1, reached))


def test_the_tail_of_a_file_with_long_lines_is_read_from_its_end(open_file):
    long = [make_event(n, payload=encode_json("x" * 300_000)) for n in (1, 2)]
    file = open_file()
    append_and_sync(file, long)
    assert open_file().tail == Tail(20, 2)


@pytest.mark.parametrize(
    "damage",
    [b"\x00" * 50 + b"\n", b"not json\n", encode_line(make_event(9, run=RunRef("t", "other")))],
    ids=["zeros", "text", "another run's record"],
)
def test_a_damaged_last_line_stays_and_what_it_held_is_asked_for_again(open_file, damage, layout):
    file = open_file()
    append_and_sync(file, make_events(1, 2))
    with layout.run(RUN).open("ab") as tampered:
        tampered.write(damage)
    again = open_file()
    assert again.tail == Tail(20, 2)
    append_and_sync(again, make_events(3, 3))
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 2)) + damage + lines_of(
        [make_event(3)]
    )


def test_a_failed_write_is_taken_back_whole(open_file, monkeypatch, layout):
    file = open_file()
    append_and_sync(file, make_events(1, 2))
    write = os.write
    room = [30]

    def write_until_full(fd, data):
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[: room.pop()])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_until_full)
        with pytest.raises(OSError, match="No space"):
            file.append(make_events(3, 3))
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 2))
    assert append_and_sync(file, make_events(3, 4)) == 2
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 4))


def test_what_a_failed_sync_may_have_lost_is_taken_back(open_file, monkeypatch, layout):
    file = open_file()
    append_and_sync(file, make_events(1, 2))
    file.append(make_events(3, 4))

    def broken_disk(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken_disk)
        with pytest.raises(OSError, match="Input/output"):
            file.sync()
    assert file.tail == Tail(20, 2)
    assert layout.run(RUN).read_bytes() == lines_of(make_events(1, 2))
    assert append_and_sync(file, make_events(3, 4)) == 2


def test_lines_that_a_killed_process_left_are_made_durable_before_they_are_trusted(
    open_file, monkeypatch
):
    file = open_file()
    file.append(make_events(1, 2))  # killed here: written, never synced
    synced = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_size) or sync(fd))
    assert open_file().tail == Tail(20, 2)
    assert synced == [len(lines_of(make_events(1, 2)))]


def test_directories_are_durable_before_the_first_line(layout, monkeypatch):
    synced = []
    sync = os.fsync

    def noting_sync(fd):
        synced.append(Path(f"/proc/self/fd/{fd}").readlink())
        sync(fd)

    monkeypatch.setattr(os, "fsync", noting_sync)
    path = layout.run(RUN)
    JsonlFile(path, root=layout.root).close()
    assert synced == [path.parent, path.parent.parent, layout.threads, layout.root]


@pytest.mark.parametrize("bad", ["..", "../x", "a/b", "", "a\n", "a.b", "x" * 65, "é", None])
def test_no_id_leads_out_of_the_archive(layout, bad):
    for run in (RunRef(bad, "run-1"), RunRef("thread-1", bad)):
        with pytest.raises(InvalidIdError):
            layout.run(run)
        with pytest.raises(InvalidIdError):
            list(ArchiveReader(layout.root).read_run(run))
    assert list(layout.root.iterdir()) == []
