"""A place in a file of lines is found by bisection, whatever the lines hold and wherever it is."""

from contextlib import closing, contextmanager

import archived_run
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge import encode_json
from store import encode_line
from store.file_bytes import PlainBytes
from store.line_search import by_run_seq, by_seq, find_above
from store.lines import lines_back
from store.zstd_file import FRAME_BYTES, CompressedBytes, write_compressed

#: None is a damaged line; a number is the length of a payload.
LINES = st.lists(st.none() | st.integers(0, 300), max_size=40)


@pytest.fixture(params=["plain", "compressed"])
def opened(request, tmp_path_factory):
    """Open a file that holds some lines, in either form."""

    @contextmanager
    def opened(lines):
        plain = tmp_path_factory.mktemp("lines") / "run.jsonl"
        plain.write_bytes(b"".join(lines))
        with closing(PlainBytes.open(plain)) as source:
            if request.param == "plain":
                yield source
                return
            path = plain.with_suffix(".zst")
            with path.open("wb") as target:
                write_compressed(source, source.size(), target, lambda: True)
        with closing(CompressedBytes(path)) as compressed:
            yield compressed

    return opened


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
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_lies_behind_an_offset_is_all_that_is_above_the_number(opened, lengths):
    lines, numbers = made(lengths)
    end = sum(map(len, lines))
    with opened(lines) as source:
        for value in range(len(lines) + 2):
            known = [at for at, number in enumerate(numbers) if number and number <= value]
            behind = known[-1] + 1 if known else 0
            assert find_above(source, end, by_run_seq, value) == sum(map(len, lines[:behind]))
            assert find_above(source, end, by_seq, 10 * value) == sum(map(len, lines[:behind]))


@given(lengths=LINES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_come_backwards_as_they_are(opened, lengths):
    lines, _ = made(lengths)
    with opened(lines) as source:
        assert list(lines_back(source, sum(map(len, lines)))) == lines[::-1]


@pytest.mark.parametrize("length", [65_535, 65_536, 200_000, 1_000_000])
def test_lines_longer_than_a_block_come_backwards_as_they_are(opened, length):
    lines = [b"a\n", b"x" * length + b"\n", b"b\n", b"\n", b"y" * length + b"\n"]
    with opened(lines) as source:
        assert list(lines_back(source, sum(map(len, lines)))) == lines[::-1]


def test_a_long_file_is_searched_with_few_reads(opened, monkeypatch):
    lines, _ = made([100] * 20_000)
    end = sum(map(len, lines))
    with opened(lines) as source:
        reads = []
        read = type(source).read
        monkeypatch.setattr(type(source), "read", lambda *args: reads.append(args) or read(*args))
        assert find_above(source, end, by_run_seq, 12_345) == sum(map(len, lines[:12_345]))
    # Of a compressed file, the frames are reads of their own.
    own = [size for reader, _, size in reads if reader is source]
    assert len(own) < 60
    assert sum(own) < 200_000


def test_a_long_compressed_file_is_searched_by_decompressing_little_of_it(tmp_path, monkeypatch):
    lines, _ = made([100] * 200_000)
    plain, path = tmp_path / "run.jsonl", tmp_path / "run.zst"
    plain.write_bytes(b"".join(lines))
    with closing(PlainBytes.open(plain)) as source, path.open("wb") as target:
        write_compressed(source, source.size(), target, lambda: True)
    with closing(CompressedBytes(path)) as source:
        frames = []
        decompress = source._decompress
        monkeypatch.setattr(
            source, "_decompress", lambda number: frames.append(number) or decompress(number)
        )
        assert find_above(source, source.size(), by_run_seq, 54_321) == sum(
            map(len, lines[:54_321])
        )
        assert len(frames) < 2 * (source.size() // FRAME_BYTES).bit_length()
        assert len(source._frames) <= 2
