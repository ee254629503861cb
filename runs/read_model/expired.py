"""Find the ended runs and the threads at rest whose time is over, oldest first.

A run whose values are its thread's is never found: its thread would lose its state.
"""

import sqlite3
from datetime import UTC, datetime, timedelta

from runs.models import now
from runs.read_model.projection import micros
from runs.read_model.queries import Expired

_RUNS = """
    SELECT run_id, thread_id, ended_at FROM runs
    WHERE ended_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM threads
        WHERE threads.thread_id = runs.thread_id AND threads.outputs_run = runs.run_id
    )
    ORDER BY ended_at, run_id LIMIT ?
"""
_THREADS = """
    SELECT thread_id, thread_id, updated_at FROM threads
    WHERE is_shown = 1 AND inflight = '[]'
    ORDER BY updated_at, thread_id LIMIT ?
"""


def expired_runs(
    connection: sqlite3.Connection, *, ttl_s: float | None, max_runs: int | None, limit: int
) -> list[Expired]:
    """Return ended runs that are too old, or beyond the number that is kept."""
    (count,) = connection.execute("SELECT count(*) FROM runs WHERE ended_at IS NOT NULL").fetchone()
    return _expired(connection.execute(_RUNS, (limit,)), ttl_s, _excess(count, max_runs))


def expired_threads(
    connection: sqlite3.Connection, *, ttl_s: float | None, max_threads: int | None, limit: int
) -> list[Expired]:
    """Return threads without a run under way that are too old, or beyond the number kept."""
    (count,) = connection.execute("SELECT count(*) FROM threads WHERE is_shown = 1").fetchone()
    return _expired(connection.execute(_THREADS, (limit,)), ttl_s, _excess(count, max_threads))


def _excess(count: int, kept: int | None) -> int:
    return 0 if kept is None else max(0, count - kept)


def _expired(found: sqlite3.Cursor, ttl_s: float | None, excess: int) -> list[Expired]:
    oldest = None if ttl_s is None else micros(now() - timedelta(seconds=ttl_s))
    return [
        Expired(key, thread_id, _instant(since))
        for number, (key, thread_id, since) in enumerate(found)
        if number < excess or (oldest is not None and since < oldest)
    ]


def _instant(since: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=since)
