"""A place in a file of lines is found by bisection, whatever the lines hold and wherever it is."""

import os
from contextlib import contextmanager

import archived_run
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import encode_json
from store import encode_line
from store.jsonl import lines_back
from store.line_search import by_run_seq, by_seq, find_above

#: None is a damaged line; a number is the length of a payload.
LINES = st.lists(st.none() | st.integers(0, 300), max_size=40)


@contextmanager
def opened(path, lines):
    path.write_bytes(b"".join(lines))
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def made(lengths):
    """Lines, and the run_seq of each; a damaged one has None."""
    lines, numbers = [], []
    for length in lengths:
        run_seq = len(lines) + 1
        if length is None:
            lines.append(b'{"thread_id":"thread-1","run\x00\n')
            numbers.append(None)
        else:
            payload = encode_json("x" * length)
            lines.append(encode_line(archived_run.make_event(run_seq, payload=payload)))
            numbers.append(run_seq)
    return lines, numbers


@given(lengths=LINES)
def test_what_lies_behind_an_offset_is_all_that_is_above_the_number(tmp_path_factory, lengths):
    lines, numbers = made(lengths)
    end = sum(map(len, lines))
    with opened(tmp_path_factory.mktemp("lines") / "run.jsonl", lines) as fd:
        for value in range(len(lines) + 2):
            known = [at for at, number in enumerate(numbers) if number and number <= value]
            behind = known[-1] + 1 if known else 0
            assert find_above(fd, end, by_run_seq, value) == sum(map(len, lines[:behind]))
            assert find_above(fd, end, by_seq, 10 * value) == sum(map(len, lines[:behind]))


@given(lengths=LINES)
def test_lines_come_backwards_as_they_are(tmp_path_factory, lengths):
    lines, _ = made(lengths)
    with opened(tmp_path_factory.mktemp("lines") / "run.jsonl", lines) as fd:
        assert list(lines_back(fd, sum(map(len, lines)))) == lines[::-1]


@pytest.mark.parametrize("length", [65_535, 65_536, 200_000, 1_000_000])
def test_lines_longer_than_a_block_come_backwards_as_they_are(tmp_path, length):
    lines = [b"a\n", b"x" * length + b"\n", b"b\n", b"\n", b"y" * length + b"\n"]
    with opened(tmp_path / "run.jsonl", lines) as fd:
        assert list(lines_back(fd, sum(map(len, lines)))) == lines[::-1]


def test_a_long_file_is_searched_with_few_reads(tmp_path, monkeypatch):
    lines, _ = made([100] * 20_000)
    end = sum(map(len, lines))
    with opened(tmp_path / "run.jsonl", lines) as fd:
        reads = []
        pread = os.pread
        monkeypatch.setattr(os, "pread", lambda *args: reads.append(args) or pread(*args))
        assert find_above(fd, end, by_run_seq, 12_345) == sum(map(len, lines[:12_345]))
    assert len(reads) < 60
    assert sum(size for _, size, _ in reads) < 200_000
