"""Find the ended runs and the threads at rest whose time is over, oldest first.

A run whose values are its thread's is never found: its thread would lose its state.
"""

import sqlite3
from datetime import UTC, datetime, timedelta

from runs.models import now
from runs.read_model.projection import micros
from runs.read_model.queries import Expired, ThreadLimits

_RUNS = """
    SELECT run_id, thread_id, ended_at FROM runs
    WHERE ended_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM threads
        WHERE threads.thread_id = runs.thread_id AND threads.outputs_run = runs.run_id
    )
    ORDER BY ended_at, run_id LIMIT ?
"""
_OWN_TIME_IS_OVER = """
    SELECT thread_id, updated_at, ttl_strategy FROM threads
    WHERE expires_at <= :now AND is_shown = 1 AND inflight = '[]'
    ORDER BY expires_at, thread_id LIMIT :limit
"""
_TIME_IS_OVER = """
    SELECT thread_id, updated_at, :strategy FROM threads
    WHERE updated_at < :oldest AND ttl_strategy IS NULL AND is_shown = 1 AND inflight = '[]'
    AND NOT (is_trimmed AND :strategy = 'keep_latest')
    ORDER BY updated_at, thread_id LIMIT :limit
"""
_RESTS_LONGEST = """
    SELECT thread_id, updated_at, 'delete' FROM threads
    WHERE is_shown = 1 AND inflight = '[]'
    ORDER BY updated_at, thread_id LIMIT min(:excess, :limit)
"""


def expired_runs(
    connection: sqlite3.Connection, *, ttl_s: float | None, max_runs: int | None, limit: int
) -> list[Expired]:
    """Return ended runs that are too old, or beyond the number that is kept."""
    (count,) = connection.execute("SELECT count(*) FROM runs WHERE ended_at IS NOT NULL").fetchone()
    excess = _excess(count, max_runs)
    oldest = None if ttl_s is None else _before(ttl_s)
    return [
        Expired(run_id, thread_id, _instant(ended_at))
        for number, (run_id, thread_id, ended_at) in enumerate(connection.execute(_RUNS, (limit,)))
        if number < excess or (oldest is not None and ended_at < oldest)
    ]


def expired_threads(
    connection: sqlite3.Connection, *, limits: ThreadLimits, limit: int
) -> list[Expired]:
    """Return threads without a run under way whose time is over, or beyond the number kept."""
    (count,) = connection.execute("SELECT count(*) FROM threads WHERE is_shown = 1").fetchone()
    asked = {
        "now": micros(now()),
        "oldest": 0 if limits.ttl_s is None else _before(limits.ttl_s),
        "strategy": limits.strategy,
        "excess": _excess(count, limits.max_threads),
        "limit": limit,
    }
    found: dict[str, Expired] = {}
    # What is to be deleted altogether need not be trimmed.
    for statement in (_OWN_TIME_IS_OVER, _TIME_IS_OVER, _RESTS_LONGEST):
        for thread_id, since, strategy in connection.execute(statement, asked):
            found[thread_id] = Expired(thread_id, thread_id, _instant(since), strategy)
    return list(found.values())[:limit]


def _excess(count: int, kept: int | None) -> int:
    return 0 if kept is None else max(0, count - kept)


def _before(ttl_s: float) -> int:
    return micros(now() - timedelta(seconds=ttl_s))


def _instant(since: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=since)
