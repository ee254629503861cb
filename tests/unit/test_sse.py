from hypothesis import given
from hypothesis import strategies as st

from api import sse


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(1, 200))
def test_coalescing_keeps_every_byte_in_order_and_splits_between_frames(frames, limit):
    original = sse.MAX_WRITE_BYTES
    sse.MAX_WRITE_BYTES = limit
    try:
        writes = list(sse.coalesce(frames))
    finally:
        sse.MAX_WRITE_BYTES = original
    assert b"".join(writes) == b"".join(frames)
    assert all(len(write) <= max(limit, 50) for write in writes)


def test_nothing_waiting_makes_no_write():
    assert list(sse.coalesce([])) == []


@given(st.text())
def test_a_comment_is_one_line_whatever_it_says(text):
    block = sse.comment_block(text)
    assert block.startswith(b": ")
    assert block.count(b"\n") == 1
    assert b"\r" not in block
    assert block.endswith(b"\n")
