import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import InvalidIdError
from bridge.ids import (
    MALFORMED,
    SHARDS,
    START,
    EventId,
    check_id,
    new_id,
    parse_cursor,
    shard,
)

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
SEQUENCES = st.integers(1, 2**64 - 1)


@given(IDS)
def test_an_id_is_returned_as_it_is(value):
    assert check_id("run_id", value) == value


@given(IDS, st.sampled_from(["\n", "\r\n", " ", ".", "*", ">", "\x00", "\u00e9", "/"]))
def test_one_foreign_character_anywhere_spoils_an_id(value, foreign):
    for spoiled in (value[:-1] + foreign, foreign + value[1:], value + foreign):
        with pytest.raises(InvalidIdError):
            check_id("run_id", spoiled)


@given(st.none() | st.integers() | st.binary() | st.lists(st.text()) | st.just(""))
def test_what_is_no_text_is_no_id(value):
    with pytest.raises(InvalidIdError):
        check_id("run_id", value)


def test_an_id_has_at_most_64_characters():
    assert check_id("run_id", "x" * 64)
    with pytest.raises(InvalidIdError) as caught:
        check_id("run_id", "x" * 10_000)
    assert len(str(caught.value)) < 200


def test_new_ids_are_ids_and_differ():
    made = {check_id("run_id", new_id()) for _ in range(100)}
    assert len(made) == 100


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("thread-1", "39"),
        ("a", "03"),
        ("Z", "27"),
        ("0", "21"),
        ("_-", "11"),
        ("00000000-0000-0000-0000-000000000000", "09"),
        ("x" * 64, "12"),
    ],
)
def test_the_shard_of_an_id_is_fixed_forever(value, expected):
    assert shard(value) == expected


@given(IDS)
def test_a_shard_is_two_digits_below_64(value):
    assert len(shard(value)) == 2
    assert 0 <= int(shard(value), 16) < SHARDS


@given(SEQUENCES, SEQUENCES)
def test_an_event_id_is_read_back_as_it_was_written(stream_seq, run_seq):
    event_id = EventId(stream_seq, run_seq)
    assert parse_cursor(str(event_id)) == event_id


@pytest.mark.parametrize("value", [None, "", "-", "-1", "0", "0-0"])
def test_these_cursors_mean_from_the_start(value):
    assert parse_cursor(value) is START


@given(st.text() | st.from_regex(r"[0-9 +_.-]{1,12}", fullmatch=True))
def test_a_cursor_has_one_spelling_or_is_malformed(value):
    cursor = parse_cursor(value)
    if isinstance(cursor, EventId):
        assert str(cursor) == value
    else:
        assert cursor in (START, MALFORMED)


@given(SEQUENCES, SEQUENCES, st.sampled_from(["{}\n", " {}", "{} ", "0{}", "+{}", "{}-1", "{}.0"]))
def test_a_decorated_event_id_is_malformed(stream_seq, run_seq, form):
    assert parse_cursor(form.format(EventId(stream_seq, run_seq))) is MALFORMED


@given(st.integers(2**64, 2**80), SEQUENCES)
def test_a_sequence_beyond_64_bits_is_malformed(beyond, within):
    assert parse_cursor(f"{beyond}-{within}") is MALFORMED
    assert parse_cursor(f"{within}-{beyond}") is MALFORMED
