"""Threads are found by what their records say."""

from datetime import UTC, datetime, timedelta

import pytest

from runs import LastRun, RunStatus, ThreadQuery, ThreadRecord
from runs.thread_search import fitting

AT = datetime(2026, 1, 2, tzinfo=UTC)


def thread(name, age_s=0, **facts):
    at = AT - timedelta(seconds=age_s)
    return ThreadRecord(thread_id=name, created_at=at, updated_at=at, **facts)


THREADS = [
    thread("a", 3, metadata={"topic": "x", "deep": {"p": 1, "q": 2}}),
    thread("b", 1, metadata={"topic": "y"}, user_id="her"),
    thread("c", 2, last=LastRun(run_id="r", status=RunStatus.ERROR)),
    thread("d", 0, temporary=True),
    thread("e", 0, deleting=True),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "bca"),
        ({"is_descending": False}, "acb"),
        ({"sort_by": "thread_id", "is_descending": False}, "abc"),
        ({"metadata": {"topic": "x"}}, "a"),
        ({"metadata": {"deep": {"q": 2}}}, "a"),
        ({"metadata": {"deep": {"q": 1}}}, ""),
        ({"metadata": {"deep": 1}}, ""),
        ({"status": "error"}, "c"),
        ({"ids": ["a", "d", "e", "z"]}, "a"),
        ({"ids": []}, ""),
        ({"user_id": "her"}, "b"),
    ],
)
def test_a_query_finds_what_fits_in_its_order(query, found):
    assert "".join(each.thread_id for each in fitting(THREADS, ThreadQuery(**query))) == found
