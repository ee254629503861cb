"""Metadata is found by what it contains; the index and the full comparison agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.read_model.contents import contains, facts_of, is_told_by_facts

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "é"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@pytest.mark.parametrize(
    ("whole", "part", "does"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 0}, {"a": False}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}, True),
        ({"a": {"b": 1}}, {"a": {}}, True),
        ({"a": 1}, {"a": {}}, False),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        ({"a": [1, 2, 3]}, {"a": [3, 1]}, True),
        ({"a": [1]}, {"a": 1}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"y": 2}]}, True),
        ({"a": [{"x": 1}, {"y": 2}]}, {"a": [{"x": 1, "y": 2}]}, False),
    ],
)
def test_what_a_document_contains(whole, part, does):
    assert contains(whole, part) is does


@given(DOCUMENTS, DOCUMENTS)
def test_facts_never_miss_what_is_contained_and_decide_where_they_say_so(whole, part):
    has_all = facts_of(part) <= facts_of(whole)
    assert has_all or not contains(whole, part)
    if is_told_by_facts(part):
        assert contains(whole, part) == has_all


@given(DOCUMENTS)
def test_a_document_contains_itself(document):
    assert contains(document, document)


def test_a_long_text_is_one_short_fact():
    (fact,) = facts_of({"a": "x" * 100_000})
    assert len(fact.value) < 100
    assert facts_of({"a": "x" * 100_000}) == {fact}
    assert facts_of({"a": "x" * 99_999}) != {fact}
