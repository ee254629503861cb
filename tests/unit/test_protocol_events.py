"""What stored events become in the thread protocol; it depends on the run's events alone."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.language_models.chat_model_stream import ChatModelStream

from api.errors import InvalidRequestError
from api.partial_messages import PartialMessages
from api.request_bodies import check
from api.thread_protocol.channels import EventsWanted
from api.thread_protocol.run_events import RunEvents, Told
from bridge import EventId, StreamEvent

USAGE = ("input_tokens", "output_tokens", "total_tokens")


def stored(seq, name, data, category="stream", metadata=None):
    return StreamEvent(
        thread_id="t",
        run_id="r",
        event_id=EventId(seq, seq),
        event=name,
        payload=orjson.dumps(data),
        category=category,
        created_at="2026-01-01T00:00:00.000000Z",
        total_bytes=0,
        metadata_json=orjson.dumps(metadata),
    )


def told(*events):
    """Return what a run's events say, as methods, namespaces and JSON."""
    run = RunEvents()
    return [
        (each.method, each.namespace, orjson.loads(orjson.dumps(each.data)))
        for seq, event in enumerate(events, start=1)
        for each in run.of(stored(seq, *event))
    ]


def piece(message_id, node="model", **fields):
    chunk = {"type": "AIMessageChunk", "content": "", "id": message_id, **fields}
    return "messages", [chunk, {"langgraph_node": node}]


def assembled(events, message_id):
    """Put a message together as LangChain does."""
    stream = ChatModelStream()
    for method, _, data in events:
        if method == "messages" and message_id in (data.get("id"), data.get("message_id")):
            stream.dispatch(data)
    return stream.output


def test_messages_of_parallel_nodes_end_each_with_its_own_node():
    events = told(
        piece("a", "left", content="one "),
        piece("b", "right", content="eins "),
        piece("a", "left", content="two"),
        ("updates", {"left": {}}),
        piece("b", "right", content="zwei"),
        ("updates", {"right": {}}),
    )
    assert assembled(events, "a").text == "one two"
    assert assembled(events, "b").text == "eins zwei"
    finished = [
        data["message_id"] for _, _, data in events if data.get("event") == "message-finish"
    ]
    assert finished == ["a", "b"]


def test_reasoning_text_and_tool_calls_are_blocks_in_the_order_of_their_beginning():
    call = {"type": "tool_call_chunk", "index": 0, "id": "c", "name": "add", "args": '{"n": '}
    events = told(
        piece("a", content=[{"type": "reasoning", "reasoning": "hm", "index": 0}]),
        piece("a", content=[{"type": "text", "text": "so", "index": 1}]),
        piece("a", tool_call_chunks=[call]),
        piece("a", tool_call_chunks=[{**call, "id": None, "name": None, "args": "1}"}]),
        piece("a", chunk_position="last", usage_metadata=dict.fromkeys(USAGE, 1)),
    )
    begun = [
        data["content"]["type"] for _, _, data in events if "content-block-start" in data.values()
    ]
    assert begun == ["reasoning", "text", "tool_call_chunk"]
    message = assembled(events, "a")
    assert message.text == "so"
    assert [(each["name"], each["args"]) for each in message.tool_calls] == [("add", {"n": 1})]
    assert events[-1][2] == {
        "event": "tool-started",
        "tool_call_id": "c",
        "tool_name": "add",
        "input": {"n": 1},
    }


def test_a_whole_message_is_begun_and_finished_at_once():
    whole = {"type": "ai", "content": "hi", "id": "w", "tool_calls": []}
    events = told(("messages", [whole, {}]), ("messages", [{**whole, "type": "human"}, {}]))
    assert assembled(events[: len(events) // 2], "w").text == "hi"
    assert [data["role"] for _, _, data in events if "role" in data] == ["ai", "human"]


NAMES = (
    *("type", "id", "index", "content", "text", "reasoning", "args", "name", "event"),
    *("tool_calls", "tool_call_chunks", "usage_metadata", "additional_kwargs", "chunk_position"),
    *("checkpoint", "parent_checkpoint", "checkpoint_id", "metadata", "result", "interrupts"),
    *("__interrupt__", "value", "payload"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "text", "ai"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=8,
)
PIECES = st.tuples(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["AIMessageChunk", "ai", "tool"]), "id": st.just("m")},
        optional={name: JSON for name in NAMES if name not in {"type", "id"}},
    ),
    JSON,
)
STORED = st.tuples(st.just("messages"), PIECES.map(list) | JSON) | st.tuples(
    st.sampled_from(["values", "updates", "tasks", "checkpoints", "custom", "values|in:1"]), JSON
)


@settings(max_examples=400)
@given(st.lists(STORED, max_size=5))
def test_whatever_is_stored_of_a_run_can_be_told(events):
    told(*events, ("end", {"status": "success", "interrupted": True}))
    partials = PartialMessages()
    for seq, event in enumerate(events, start=1):
        if event[0] == "messages":
            assert partials.frames(stored(seq, *event), "0-0")


@pytest.mark.parametrize("asked", [5, ["q"], [{"value": "q"}], {"id": "q"}])
def test_what_has_not_the_form_of_a_question_asks_nothing(asked):
    values = {"a": 1, "__interrupt__": asked}
    assert RunEvents().of(stored(2, "values", values, "input", {"input_id": "q"})) == []
    events = told(("values", values), ("end", {"status": "success", "interrupted": True}))
    assert [method for method, _, _ in events] == ["values", "lifecycle"]


@pytest.mark.parametrize(
    "data", [None, [], ["x"], [{"type": "ai"}, {}], {"a": 1}, [{"type": 1}, 2]]
)
def test_what_is_no_piece_of_a_message_says_nothing_there(data):
    assert told(("messages", data)) == []


def test_what_a_graph_asks_is_told_once_and_with_its_end():
    asked = [{"id": "q", "value": "sure?"}]
    events = told(
        ("metadata", {"attempt": 1}),
        ("updates", {"__interrupt__": asked}),
        ("values", {"log": [], "__interrupt__": asked}),
        ("values", {"__interrupt__": asked}),
        ("end", {"status": "success", "interrupted": True}),
    )
    assert [method for method, _, _ in events] == [
        "lifecycle",
        "values",
        "input.requested",
        "lifecycle",
    ]
    assert events[1][2] == {"log": []}
    assert events[2][2] == {"interrupt_id": "q", "value": "sure?", "payload": "sure?"}
    assert events[3][2]["event"] == "interrupted"


@pytest.mark.parametrize(
    ("terminal", "data", "phase"),
    [
        ("end", {"status": "success"}, "completed"),
        ("cancel", {}, "interrupted"),
        ("error", {"error": {"error": "LookupError", "message": "no"}}, "failed"),
    ],
)
def test_a_run_ends_in_one_way_and_its_messages_with_it(terminal, data, phase):
    events = told(piece("a", content="begun"), (terminal, data))
    assert [data["event"] for _, _, data in events][-3:] == [
        "content-block-finish",
        "message-finish",
        phase,
    ]
    if phase == "failed":
        assert events[-1][2]["error"] == "LookupError: no"


def test_an_event_of_a_functions_own_is_custom_by_its_name():
    assert told(("step", 1), ("custom", {"name": "n", "payload": 2}), ("custom", 3)) == [
        ("custom", (), {"name": "step", "payload": 1}),
        ("custom", (), {"name": "n", "payload": 2}),
        ("custom", (), {"payload": 3}),
    ]


@pytest.mark.parametrize(
    ("wanted", "namespace", "data", "is_admitted"),
    [
        ({"channels": ["custom"]}, (), {"name": "a", "payload": 1}, True),
        ({"channels": ["custom:a"]}, (), {"name": "a", "payload": 1}, True),
        ({"channels": ["custom:b"]}, (), {"name": "a", "payload": 1}, False),
        ({"channels": ["custom:b"]}, (), {"payload": 1}, False),
        ({"channels": ["values"]}, (), {"payload": 1}, False),
        ({"channels": ["custom"], "namespaces": [["in"]]}, ("in:1", "x:2"), {}, True),
        ({"channels": ["custom"], "namespaces": [["in"]], "depth": 0}, ("in:1", "x:2"), {}, False),
        ({"channels": ["custom"], "namespaces": [["in:2"]]}, ("in:1",), {}, False),
        ({"channels": ["custom"], "namespaces": [["in"]]}, (), {}, False),
    ],
)
def test_channels_namespaces_and_depth_choose_events(wanted, namespace, data, is_admitted):
    assert check(EventsWanted, wanted).admits(Told("custom", namespace, data)) is is_admitted


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channels": []},
        {"channels": ["all"]},
        {"channels": ["custom:"]},
        {"channels": ["values"], "since": -1},
        {"channels": ["values"], "since": 1 << 63},
        {"channels": ["values"], "depth": -1},
    ],
)
def test_a_malformed_wish_is_refused(body):
    with pytest.raises(InvalidRequestError):
        check(EventsWanted, body)
