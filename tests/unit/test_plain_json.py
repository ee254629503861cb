"""Whatever a graph emits becomes JSON, as the platform would show it, and nothing fails."""

import json
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from typing import NamedTuple
from uuid import UUID

import pytest
from langchain_core.messages import HumanMessage
from langgraph.types import Interrupt

from runs.graphs.plain_json import MAX_DEPTH, encode_plain


class Pair(NamedTuple):
    a: int
    b: object


class Color(Enum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


@dataclass
class Point:
    x: int
    y: object


class Broken:
    def model_dump(self):
        raise RuntimeError("no")


CYCLE = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (object(), None),
        (float("nan"), None),
        ([float("inf"), 1.5], [None, 1.5]),
        ("\ud800a", "?a"),
        ("a\0b", "a\ufffdb"),
        ("a\\u0000b", "a\\u0000b"),
        ({"\0": 1}, {"\ufffd": 1}),
        ({1: "a", None: "b", (1, 2): "d"}, {"1": "a", "null": "b", "(1, 2)": "d"}),
        ({Color.RED: Number.ONE}, {"red": 1}),
        ({1}, [1]),
        (deque([1, 2]), [1, 2]),
        ((1, (2,)), [1, [2]]),
        (Pair(1, Color.RED), {"a": 1, "b": "red"}),
        (Point(1, {2}), {"x": 1, "y": [2]}),
        (b"ab", "YWI="),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (timedelta(minutes=1), 60.0),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("/a/b"), "/a/b"),
        (2**70, 2**70),
        (KeyError("a"), {"error": "KeyError", "message": "'a'"}),
        (Interrupt(value={"q": 1}, id="i"), {"value": {"q": 1}, "id": "i"}),
        (int, None),
        ([lambda: 1], [None]),
        (Broken(), None),
        (CYCLE, [None]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_value_has_one_form(value, shown):
    assert json.loads(encode_plain(value)) == shown


def test_messages_are_objects():
    shown = json.loads(encode_plain({"messages": [HumanMessage("hi", id="1")]}))
    assert (shown["messages"][0]["type"], shown["messages"][0]["content"]) == ("human", "hi")


def test_what_is_too_deep_ends_in_null():
    value = "\0"
    for _ in range(2 * MAX_DEPTH):
        value = [value]
    encoded = encode_plain(value)
    assert encoded.count(b"[") == MAX_DEPTH
    assert b"null" in encoded
