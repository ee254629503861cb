import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.client import sse
from api.client.sse import SseComment, SseMessage, SseOverflowError, SseParser

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.text(st.characters(categories=("L", "N"), include_characters="|_-"), min_size=1)
blocks = st.builds(
    lambda name, value: (name, json.dumps(value, ensure_ascii=False)), names, json_values
)


def encode(number, event, data):
    return f"id: {number}-{number}\nevent: {event}\ndata: {data}\n\n".encode()


def cut(stream, positions):
    edges = sorted({0, len(stream), *(position % (len(stream) + 1) for position in positions)})
    return [stream[start:end] for start, end in pairwise(edges)]


@given(
    sent=st.lists(blocks, max_size=6),
    heartbeats=st.lists(st.integers(0, 6)),
    positions=st.lists(st.integers(0, 100_000)),
)
@example(sent=[("a", '"\u2028\u0085\r"')], heartbeats=[0], positions=range(40))
def test_any_chunking_gives_the_same_events(sent, heartbeats, positions):
    stream = b"".join(
        b": hb\n" * heartbeats.count(number) + encode(number, event, data)
        for number, (event, data) in enumerate(sent, 1)
    )
    parser = SseParser()

    items = [item for chunk in cut(stream, positions) for item in parser.feed(chunk)]

    expected = [
        SseMessage(f"{number}-{number}", event, data)
        for number, (event, data) in enumerate(sent, 1)
    ]
    assert [item for item in items if isinstance(item, SseMessage)] == expected
    assert SseParser().feed(stream) == items


def test_a_heartbeat_is_a_comment_and_never_an_event():
    assert SseParser().feed(b": hb\n: hb\n") == [SseComment("hb"), SseComment("hb")]


def test_a_block_that_was_cut_short_is_not_counted_as_handled():
    parser = SseParser()
    parser.feed(encode(1, "values", "{}"))

    assert parser.feed(b"id: 2-2\nevent: values\ndata: {}\n") == []
    assert parser.last_event_id == "1-1"


def test_a_block_without_an_id_keeps_the_last_one():
    items = SseParser("7-3").feed(b'event: gap\ndata: {"missing": 4}\n\n')

    assert items == [SseMessage("7-3", "gap", '{"missing": 4}')]


def test_the_last_block_of_a_stream_is_read_with_its_retry_field():
    items = SseParser().feed(b"id: 9-9\nevent: end\nretry: 86400000\ndata: null\n\n")

    assert items == [SseMessage("9-9", "end", "null")]


def test_data_over_several_lines_is_joined_and_a_missing_name_is_message():
    assert SseParser().feed(b"data: a\ndata: b\n\n") == [SseMessage("", "message", "a\nb")]


def test_a_block_without_data_is_no_message():
    assert SseParser().feed(b"event: end\n\n") == []


def test_an_endless_line_is_refused_instead_of_filling_the_memory(monkeypatch):
    monkeypatch.setattr(sse, "MAX_LINE_BYTES", 100)

    with pytest.raises(SseOverflowError, match="exceeds 100 bytes"):
        SseParser().feed(b"data: " + b"x" * 100)
