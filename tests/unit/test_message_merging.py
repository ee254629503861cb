"""Pieces of messages add up to what LangChain makes of them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk, message_chunk_to_message
from langchain_core.utils.json import parse_partial_json

from api.message_merging import merged, parse_begun_json, whole

TEXT = st.text(max_size=5)
ARGUMENTS = json.dumps({"a": [1, {"b": 'x"\\\n'}], "é": None, "c": 1.5, "d": True})


def call(name=None, call_id=None, args="", index=0):
    return {
        "name": name,
        "id": call_id,
        "args": args,
        "index": index,
        "type": "tool_call_chunk",
    }


CALLS = st.lists(
    st.builds(
        call,
        name=st.sampled_from([None, "add"]),
        call_id=st.none(),
        args=st.sampled_from(["", '{"a"', ": 1", "}"]),
        index=st.integers(0, 1),
    ),
    max_size=2,
    unique_by=lambda each: each["index"],
)
USAGE = st.none() | st.builds(
    lambda read, written: {
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
        "input_token_details": {"cache_read": read},
    },
    st.integers(0, 3),
    st.integers(0, 3),
)
CONTENT = TEXT | st.lists(
    st.builds(lambda text: {"type": "text", "text": text, "index": 0}, TEXT),
    min_size=1,
    max_size=2,
)
CHUNKS = st.builds(
    lambda content, calls, usage, extra: AIMessageChunk(
        content=content,
        id="run-1",
        tool_call_chunks=calls,
        usage_metadata=usage,
        additional_kwargs=extra,
    ),
    CONTENT,
    CALLS,
    USAGE,
    st.just({}) | st.builds(lambda text: {"reasoning": text}, TEXT),
)


def sent(message):
    return json.loads(json.dumps(message.model_dump()))


@settings(max_examples=60)
@given(st.lists(CHUNKS, min_size=1, max_size=5))
def test_pieces_add_up_as_langchain_adds_them(chunks):
    theirs = chunks[0]
    ours = sent(chunks[0])
    for chunk in chunks[1:]:
        theirs += chunk
        ours = merged(ours, sent(chunk))
    expected = sent(message_chunk_to_message(theirs))
    shown = whole(ours)
    for name in ("content", "type", "id", "additional_kwargs", "usage_metadata"):
        assert shown[name] == expected[name], name
    if theirs.tool_call_chunks:
        assert shown["tool_calls"] == expected["tool_calls"]
        assert shown["invalid_tool_calls"] == expected["invalid_tool_calls"]
    assert "tool_call_chunks" not in shown


@pytest.mark.parametrize("end", range(1, len(ARGUMENTS) + 1))
def test_arguments_that_have_only_begun_are_read_as_far_as_they_make_sense(end):
    assert parse_begun_json(ARGUMENTS[:end]) == parse_partial_json(ARGUMENTS[:end])


def test_what_makes_no_sense_is_nothing():
    assert parse_begun_json("}") is None
    assert parse_begun_json("") is None
