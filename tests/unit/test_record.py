"""A record's line: verbatim, one line whatever splits it, and the same record when read back."""

import json

import archived_run
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import encode_json
from store import (
    InvalidPayloadError,
    MalformedLineError,
    decode_event,
    encode_line,
    parse_line,
)
from store.record import encode_placeholder, find_place

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TRICKY_TEXT = st.text(
    st.sampled_from('\u0085\u2028\u2029\n\r\t\x00\x7f"\\a\u00e9\U0001f600'), max_size=8
)
TEXT = ANY_TEXT | TRICKY_TEXT
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)
ESCAPES = (("\u0085", "\\u0085"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


def make_event(payload=b"null", **facts):
    return archived_run.make_event(17, seq=48213, payload=payload, **facts)


def escaped(payload):
    text = payload.decode()
    for character, escape in ESCAPES:
        text = text.replace(character, escape)
    return text.encode()


def test_a_line_says_where_it_stands_first_and_what_was_published_last():
    event = make_event(b'{"a": 1.50}', metadata_json=b'{"m":1}')
    assert encode_line(event) == (
        b'{"thread_id":"thread-1","run_id":"run-1","seq":48213,"run_seq":17,'
        b'"created_at":"2030-01-02T03:04:05.678901Z","event_type":"messages",'
        b'"category":"message","metadata":{"m":1},"content":{"a": 1.50}}\n'
    )


@given(value=JSON_VALUES, metadata=st.none() | st.dictionaries(TEXT, JSON_VALUES, max_size=3))
def test_any_json_value_comes_back_equal_and_its_bytes_are_in_the_line(value, metadata):
    payload = encode_json(value)
    encoded_metadata = None if metadata is None else json.dumps(metadata).encode()
    line = encode_line(make_event(payload, metadata_json=encoded_metadata))
    assert line.endswith(b',"content":' + escaped(payload) + b"}\n")
    record = parse_line(line)
    assert encode_json(record.content) == payload
    assert record.metadata == metadata


@given(
    value=JSON_VALUES,
    metadata=st.none() | st.dictionaries(TEXT | st.just("content"), JSON_VALUES, max_size=3),
    name=TEXT,
    category=TEXT,
)
def test_an_event_is_cut_out_of_its_line_with_the_bytes_that_were_published(
    value, metadata, name, category
):
    encoded_metadata = None if metadata is None else json.dumps(metadata).encode()
    event = make_event(
        encode_json(value), metadata_json=encoded_metadata, event=name, category=category
    )
    found = decode_event(encode_line(event))
    assert found.payload == escaped(event.payload)
    assert found.data == event.data
    for fact in ("event_id", "event", "category", "created_at", "metadata_json"):
        assert getattr(found, fact) == getattr(event, fact)


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-2],
        lambda line: line[1:],
        lambda line: line.replace(b'"content":', b'"contents":'),
        lambda line: line.replace(b'"metadata":{"m":1}', b'"metadata":{"m":1'),
        lambda line: line.replace(b'{"a": 1.50}', b'{"a": 1.50'),
        lambda line: line.replace(b'{"a": 1.50}', b"\x00" * 11),
        lambda line: line.replace(b'"event_type":"messages"', b'"event_type":messages'),
    ],
)
def test_no_event_is_made_of_a_damaged_line(damage):
    line = encode_line(make_event(b'{"a": 1.50}', metadata_json=b'{"m":1}'))
    with pytest.raises(MalformedLineError):
        decode_event(damage(line))


@given(value=JSON_VALUES, name=TEXT, category=TEXT, created_at=TEXT)
def test_a_record_is_one_line_for_every_way_of_splitting_lines(value, name, category, created_at):
    event = make_event(encode_json(value), event=name, category=category, created_at=created_at)
    line = encode_line(event)
    assert line.decode().splitlines() == [line.decode().removesuffix("\n")]
    assert line.splitlines() == [line.removesuffix(b"\n")]
    record = parse_line(line)
    assert (record.event_type, record.category, record.created_at) == (name, category, created_at)


@given(value=JSON_VALUES)
def test_pretty_printed_json_of_a_foreign_publisher_becomes_one_line(value):
    payload = json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\r\n").encode()
    line = encode_line(make_event(payload, metadata_json=b' {\n"a":\r\n[1]\n} '))
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    assert encode_json(parse_line(line).content) == encode_json(value)
    assert parse_line(line).metadata == {"a": [1]}


@pytest.mark.parametrize(
    "payload",
    [b"1180591620717411303424", b"-9223372036854775809", b'{"n":[18446744073709551616]}'],
)
def test_an_integer_beyond_64_bits_keeps_its_digits(payload):
    assert json.dumps(
        parse_line(encode_line(make_event(payload))).content, separators=(",", ":")
    ) == (payload.decode())


@pytest.mark.parametrize(
    "payload",
    [b'"\\ud800"', b"1e400", b"[" * 500 + b"]" * 500],
    ids=["lone surrogate escape", "beyond a double", "deep"],
)
def test_correct_json_that_strict_parsers_refuse_is_archived_verbatim(payload):
    line = encode_line(make_event(payload))
    assert line.endswith(b',"content":' + payload + b"}\n")
    assert parse_line(line).run_seq == 17


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"1 2",
        b'{"a":1}\n{"a":2}',
        b'"a\nb"',
        b"'a'",
        b'"\xff"',
        b"\xef\xbb\xbf1",
        b'1}\n{"forged":1',
        b"[" * 200_000,
    ],
    ids=lambda payload: repr(payload[:20]),
)
def test_what_is_not_json_is_refused(payload):
    with pytest.raises(InvalidPayloadError):
        encode_line(make_event(payload))


@pytest.mark.parametrize("metadata", [b"", b"[1]", b"null", b"1", b"{", b'{"a":NaN}', b"\xff"])
def test_metadata_that_is_no_json_object_is_refused(metadata):
    with pytest.raises(InvalidPayloadError):
        encode_line(make_event(metadata_json=metadata))


def test_a_placeholder_keeps_the_place_and_names_the_cause():
    record = parse_line(encode_placeholder(make_event(b"{", event="é"), "invalid-payload"))
    assert (record.seq, record.run_seq, record.event_type) == (48213, 17, "é")
    assert record.content is None
    assert record.metadata == {"dead_letter": "invalid-payload"}


def test_a_header_that_was_not_utf_8_still_makes_a_line():
    assert parse_line(encode_line(make_event(created_at="a\udcff"))).created_at == "a?"


@given(seq=st.integers(1, 2**63), run_seq=st.integers(1, 2**63), value=JSON_VALUES)
def test_the_place_is_read_from_the_first_bytes(seq, run_seq, value):
    event = archived_run.make_event(run_seq, seq=seq, payload=encode_json(value))
    assert find_place(encode_line(event)[:200]) == ("thread-1", "run-1", seq, run_seq)


def test_a_line_that_starts_otherwise_has_no_place_but_may_be_a_record():
    record = parse_line(encode_line(make_event(b"[1]")))
    reordered = orjson.dumps(dict(reversed(record.model_dump().items())))
    assert find_place(reordered) is None
    assert parse_line(reordered) == record


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b"\x00\x00\x00\n",
        b'{"thread_id":"t"\n',
        encode_line(make_event())[:-20],
        encode_line(make_event()).replace(b'"run_seq":17', b'"run_seq":"x"'),
        encode_line(make_event()).replace(b'"run_seq":17', b'"run_seq":0'),
        encode_line(make_event()).replace(b'"content":null', b'"content":NaN'),
    ],
)
def test_a_line_that_is_no_record_is_malformed(line):
    with pytest.raises(MalformedLineError):
        parse_line(line)


def test_a_record_cannot_be_changed():
    record = parse_line(encode_line(make_event()))
    with pytest.raises(ValueError, match="frozen"):
        record.seq = 1
    assert set(record.model_dump()) == {
        "thread_id",
        "run_id",
        "event_type",
        "category",
        "content",
        "metadata",
        "seq",
        "run_seq",
        "created_at",
    }
