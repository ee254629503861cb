import json
import math
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import InvalidContentError, InvalidEventError, ReservedEventError
from bridge.events import (
    RESERVED_EVENTS,
    STATUS_OF_EVENT,
    TERMINAL_EVENTS,
    TERMINAL_STATES,
    StreamEvent,
    check_event_name,
    check_token,
    new_event,
    sse_frame,
)
from bridge.ids import EventId
from bridge.json_bytes import decode_json, encode_json, encode_metadata

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20
)


class Colour(Enum):
    RED = "red"


def same(one, other):
    """Equality that tells 1 from 1.0 and True."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(JSON)
def test_any_json_comes_back_as_it_was(value):
    encoded = encode_json(value)
    assert same(decode_json(encoded), value)
    assert same(json.loads(encoded), value)


@given(JSON)
def test_encoded_json_is_one_line_of_utf8(value):
    encoded = encode_json(value)
    assert encoded.decode("utf-8")
    assert not set(encoded) & set(b"\r\n\x00")


@given(st.dictionaries(TEXTS, JSON))
def test_metadata_is_ascii_and_comes_back_as_it_was(metadata):
    encoded = encode_metadata(metadata)
    assert encoded.isascii()
    assert not set(encoded) & set(b"\r\n")
    assert same(decode_json(encoded), metadata)


@pytest.mark.parametrize("value", [2**63, 2**64, -(2**63) - 1, 10**400, [2**70, None, "null"]])
def test_integers_keep_their_value_at_any_size(value):
    assert decode_json(encode_json(value)) == value


@pytest.mark.parametrize("beside", [[], [None], ["null"], [2**70]], ids=repr)
def test_what_else_is_in_the_data_does_not_change_what_is_accepted(beside):
    uid = UUID(int=7)
    value = [uid, Colour.RED, (1, 2), *beside]
    assert decode_json(encode_json(value)) == [str(uid), "red", [1, 2], *beside]
    for bad in (math.nan, math.inf, {1, 2}, object(), b"x", 1j, {1: 2}, {None: 1}, "\ud800"):
        with pytest.raises(InvalidContentError):
            encode_json([bad, *beside])


def test_deep_and_circular_data_are_refused_or_read_back():
    deep: list = []
    for _ in range(300):
        deep = [deep]
    assert decode_json(encode_json(deep)) == deep
    for _ in range(100_000):
        deep = [deep]
    circular: list = []
    circular.append(circular)
    for bad in (deep, circular):
        with pytest.raises(InvalidContentError):
            encode_json(bad)


@pytest.mark.parametrize("bad", [{"a": {1}}, {1: 2}, {"a": math.nan}, {"a": "\udcff"}, 5, "text"])
def test_metadata_that_is_no_json_object_is_refused(bad):
    with pytest.raises(InvalidContentError):
        encode_metadata(bad)


def test_no_metadata_is_no_header():
    assert encode_metadata(None) is None
    assert encode_metadata({}) == b"{}"


@given(st.text(max_size=200))
def test_an_accepted_name_can_break_neither_a_header_nor_a_frame(name):
    try:
        accepted = check_token("event name", name)
    except InvalidEventError:
        return
    assert accepted == name == name.strip()
    assert 0 < len(name) <= 128
    assert len(name.splitlines()) == 1
    frame = sse_frame("1-1", name, b"null")
    assert frame.count(b"\n") == 4
    assert frame == f"id: 1-1\nevent: {name}\ndata: null\n\n".encode()


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
def test_reserved_names_are_refused(name):
    with pytest.raises(ReservedEventError):
        check_event_name(name)
    with pytest.raises(ReservedEventError):
        new_event(name, None)


@pytest.mark.parametrize("name", ["End", "ended", "values", "messages|a:b", "on_end", "\u00e9"])
def test_names_that_only_resemble_reserved_ones_are_fine(name):
    assert check_event_name(name) == name


def test_every_terminal_has_a_terminal_status_and_a_reserved_name():
    assert set(STATUS_OF_EVENT) <= RESERVED_EVENTS
    assert set(STATUS_OF_EVENT) >= TERMINAL_EVENTS
    assert set(STATUS_OF_EVENT.values()) <= TERMINAL_STATES


def test_a_new_event_is_independent_of_the_data_it_was_made_from():
    data, metadata = {"a": [1]}, {"m": [1]}
    event = new_event("note", data, metadata=metadata)
    data["a"].append(2)
    metadata["m"].append(2)
    assert (event.payload, event.metadata) == (b'{"a":[1]}', b'{"m":[1]}')
    assert event.created_at.endswith("Z")


def stored(**changes):
    facts = {
        "thread_id": "thread-1",
        "run_id": "run-1",
        "event_id": EventId(48213, 17),
        "event": "messages",
        "payload": b'{"k":"v"}',
        "category": "stream",
        "created_at": "2025-01-01T00:00:00.000000Z",
        "total_bytes": 9,
    }
    return StreamEvent(**facts | changes)


def test_a_frame_is_encoded_once_and_shared():
    event = stored()
    assert event.frame == b'id: 48213-17\nevent: messages\ndata: {"k":"v"}\n\n'
    assert event.frame is event.frame


def test_events_are_equal_when_their_place_and_content_are():
    assert stored() == stored(category="other")
    assert len({stored(), stored()}) == 1
    for changes in (
        {"run_id": "x"},
        {"event_id": EventId(1, 1)},
        {"payload": b"1"},
        {"event": "x"},
    ):
        assert stored() != stored(**changes)
    assert stored() != "48213-17"


def test_an_event_reads_its_facts():
    event = stored(metadata_json=b'{"a":1180591620717411303424}')
    assert (event.id, event.run_seq, event.data) == ("48213-17", 17, {"k": "v"})
    assert event.metadata == {"a": 2**70}
    assert stored().metadata is None
    assert [stored(event=name).is_terminal for name in ("end", "cancel", "note")] == [1, 1, 0]
    assert repr(event) == "StreamEvent(id='48213-17', event='messages', 9 bytes)"
