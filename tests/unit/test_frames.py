"""Checkpoints and writes come back from bytes as they went in, and their subjects name them."""

from hypothesis import given
from hypothesis import strategies as st

from bridge import CheckpointEntry, CheckpointKey
from bridge.ids import token
from bridge.subjects import CheckpointKind, CheckpointSubjects
from runs.langgraph.frames import (
    Slot,
    TaskWrites,
    Write,
    decode_checkpoint,
    decode_writes,
    encode_checkpoint,
    encode_writes,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TYPED = st.tuples(st.sampled_from(["msgpack", "null", "bytes", "json"]), st.binary())
VERSION = st.one_of(TEXT, st.integers(0, 2**53), st.floats(allow_nan=False, allow_infinity=False))
TOKEN = TEXT.map(token)
KEY = st.builds(CheckpointKey, TOKEN, TOKEN, TOKEN, st.just("0" * 24), TOKEN)


@given(KEY, TEXT, st.dictionaries(TEXT, st.tuples(VERSION, TYPED)), st.data())
def test_a_checkpoint_comes_back_with_its_values_and_the_places_of_the_others(
    key, parent_id, values, data
):
    others = data.draw(st.dictionaries(TEXT.filter(lambda name: name not in values), VERSION))
    homes = {
        name: Slot(version, data.draw(KEY)._replace(thread=key.thread, lane=key.lane))
        for name, version in others.items()
    }
    body, metadata = data.draw(TYPED), data.draw(TYPED)
    payload = encode_checkpoint(parent_id, body, metadata, values=values, slots=homes)
    found = decode_checkpoint(CheckpointEntry(key, "thread", "lane", "id", payload))
    assert (found.parent_id, found.body, found.metadata) == (parent_id, body, metadata)
    assert found.values == {name: value for name, (_, value) in values.items()}
    own = {name: Slot(version, key) for name, (version, _) in values.items()}
    assert found.slots == {**homes, **own}


@given(TEXT, TEXT, st.lists(st.builds(Write, st.integers(-4, 2000), TEXT, TYPED)))
def test_writes_come_back_in_their_order(task_id, task_path, writes):
    written = TaskWrites(task_id, task_path, writes)
    assert decode_writes(encode_writes(written)) == written


@given(KEY, st.sampled_from([CheckpointKind.ENTRY, CheckpointKind.KEPT, CheckpointKind.NOTE]))
def test_a_subject_names_its_checkpoint_and_keeps_its_rest_in_another_thread(key, kind):
    subjects = CheckpointSubjects("jetrun")
    subject = subjects.place(kind, key)
    assert subjects.key_of(subject) == key
    assert subjects.key_of(subjects.part(key, 7)) == key
    moved = subjects.moved(subject, "other")
    assert subjects.key_of(moved) == key._replace(thread="other")
    assert moved == subjects.place(kind, key._replace(thread="other"))


@given(TEXT, TEXT)
def test_texts_have_tokens_of_their_own_that_a_subject_takes(one, other):
    assert (token(one) == token(other)) == (one == other)
    assert token(one)
    assert not set(token(one)) & set(" .*>\t\r\n")
    assert token(token(one)) == token(one) or token(one).startswith("~")
