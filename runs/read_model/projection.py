"""Write what the state stream says into the tables.

The newest record of a thread or run decides; writing a change twice changes nothing.
"""

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from bridge import StateChange, StatePosition, encode_json
from runs.errors import ReadModelUnavailableError, UnreadableRecordError
from runs.models import RunRecord
from runs.read_model.contents import MAX_FACTS, facts_of
from runs.thread import ThreadRecord

_LOG = logging.getLogger("jetrun.read_model")

#: Whether a run was let in, and its thread is not deleted. Until it is let in its record is an
#: attempt that may still be refused.
_IS_SHOWN: Final = """
    ({status} <> 'pending' OR EXISTS (
        SELECT 1 FROM threads, json_each(threads.inflight) AS let_in
        WHERE threads.thread_id = {thread_id} AND let_in.value = {run_id}
    )) AND NOT EXISTS (
        SELECT 1 FROM threads WHERE threads.thread_id = {thread_id} AND is_deleting = 1
    )
"""
_COLUMNS: Final = ("status", "thread_id", "run_id")
_SHOW_RUNS: Final = _IS_SHOWN.format(**{name: f"runs.{name}" for name in _COLUMNS})
_SHOW_RUN: Final = _IS_SHOWN.format(**{name: f":{name}" for name in _COLUMNS})


class _Table(NamedTuple):
    name: str
    id: str
    facts: str


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: Characters of an error that can be searched for.
_MAX_ERROR: Final = 1000
_THREADS: Final = _Table("threads", "thread_id", "thread_facts")
_RUNS: Final = _Table("runs", "run_id", "run_facts")


def position(connection: sqlite3.Connection) -> tuple[str, int]:
    """Return the stream that was read, and how far; no stream and 0 when nothing was."""
    found = connection.execute("SELECT stream, applied FROM feed").fetchone()
    return ("", 0) if found is None else (found[0], found[1])


def apply(
    connection: sqlite3.Connection,
    *,
    after: StatePosition,
    changes: Sequence[StateChange],
    reached: StatePosition,
) -> None:
    """Write changes, oldest first, and that the tables have come so far.

    Raises:
        ReadModelUnavailableError: The tables are not where the changes begin: they have started
            over meanwhile.
    """
    known = StatePosition(*position(connection))
    if known != after and after.seq > 0:
        raise ReadModelUnavailableError("it has started over; ask again")
    for change in changes:
        if change.kind == "thread":
            _apply_thread(connection, change)
        elif change.kind == "run":
            _apply_run(connection, change)
    connection.execute("DELETE FROM feed")
    connection.execute("INSERT INTO feed VALUES (?, ?)", (reached.stream, reached.seq))


def _apply_thread(connection: sqlite3.Connection, change: StateChange) -> None:
    before, was_deleting = _before(connection, change.key)
    thread = _decoded(ThreadRecord, change)
    if thread is None:
        _remove(connection, _THREADS, change.key)
    else:
        row = {
            "thread_id": thread.thread_id,
            "revision": change.revision,
            "user_id": thread.user_id,
            "status": thread.status.value,
            "created_at": micros(thread.created_at),
            "updated_at": micros(thread.updated_at),
            "is_shown": not (thread.temporary or thread.deleting),
            "is_deleting": thread.deleting,
            "inflight": encode_json(thread.inflight_ids).decode(),
            "outputs_run": None if thread.outputs is None else thread.outputs.run_id,
            "ttl_strategy": None if thread.ttl is None else thread.ttl.strategy,
            "expires_at": None if thread.expires_at is None else micros(thread.expires_at),
            "is_trimmed": thread.is_trimmed,
        }
        _write(connection, _THREADS, row, thread.metadata)
    if was_deleting != (thread is not None and thread.deleting):
        _show_runs(connection, "thread_id", [change.key])
    else:
        # The commit of the thread is what lets a run in; its record was there before.
        after = () if thread is None else thread.inflight_ids
        _show_runs(connection, "run_id", before.symmetric_difference(after))


def _before(connection: sqlite3.Connection, thread_id: str) -> tuple[set[str], bool]:
    found = connection.execute(
        "SELECT inflight, is_deleting FROM threads WHERE thread_id = ?", (thread_id,)
    ).fetchone()
    return (set(), False) if found is None else (set(json.loads(found[0])), bool(found[1]))


def _show_runs(connection: sqlite3.Connection, column: str, keys: Iterable[str]) -> None:
    connection.executemany(
        f"UPDATE runs SET is_shown = {_SHOW_RUNS} WHERE {column} = ?",  # noqa: S608 - SQL of ours
        [(key,) for key in keys],
    )


def _apply_run(connection: sqlite3.Connection, change: StateChange) -> None:
    run = _decoded(RunRecord, change)
    if run is None:
        _remove(connection, _RUNS, change.key)
        return
    error = run.error
    row = {
        "run_id": run.run_id,
        "revision": change.revision,
        "thread_id": run.thread_id,
        "user_id": run.user_id,
        "assistant_id": run.assistant_id,
        "executor": run.executor,
        "status": run.status.value,
        "created_at": micros(run.created_at),
        "updated_at": micros(run.updated_at),
        "ended_at": None if run.ended_at is None else micros(run.ended_at),
        "error": "" if error is None else f"{error.error}: {error.message}"[:_MAX_ERROR],
    }
    (is_shown,) = connection.execute(
        f"SELECT {_SHOW_RUN}",
        {name: row[name] for name in _COLUMNS},
    ).fetchone()
    _write(connection, _RUNS, {**row, "is_shown": is_shown}, run.metadata)


def _decoded(model: type[ThreadRecord] | type[RunRecord], change: StateChange) -> Any:
    if change.value is None:
        return None
    try:
        return model.decode(change.value)
    except UnreadableRecordError:
        facts = {"kind": change.kind, "key": change.key, "revision": change.revision}
        _LOG.exception("read_model.record.malformed", extra=facts)
        return None


def _write(
    connection: sqlite3.Connection,
    table: _Table,
    row: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> None:
    text = encode_json(metadata).decode()
    facts = facts_of(metadata)
    is_wide = len(facts) > MAX_FACTS
    full = {**row, "metadata": text, "is_wide": is_wide}
    known = connection.execute(
        f"SELECT n, metadata FROM {table.name} WHERE {table.id} = ?",  # noqa: S608 - names of ours
        (row[table.id],),
    ).fetchone()
    if known is None:
        columns, places = ", ".join(full), ", ".join("?" * len(full))
        inserted = connection.execute(
            f"INSERT INTO {table.name} ({columns}) VALUES ({places})",  # noqa: S608 - the same
            tuple(full.values()),
        )
        _add_facts(connection, table, inserted.lastrowid, () if is_wide else facts)
        return
    n, before = known
    changes = ", ".join(f"{column} = ?" for column in full)
    connection.execute(
        f"UPDATE {table.name} SET {changes} WHERE n = ?",  # noqa: S608 - the same
        (*full.values(), n),
    )
    if before != text:
        _remove_facts(connection, table, n, before)
        _add_facts(connection, table, n, () if is_wide else facts)


def _remove(connection: sqlite3.Connection, table: _Table, key: str) -> None:
    removed = connection.execute(
        f"DELETE FROM {table.name} WHERE {table.id} = ? RETURNING n, metadata",  # noqa: S608 - the same
        (key,),
    ).fetchone()
    if removed is not None:
        _remove_facts(connection, table, *removed)


def _add_facts(
    connection: sqlite3.Connection, table: _Table, n: int | None, facts: Iterable[tuple[str, str]]
) -> None:
    connection.executemany(
        f"INSERT INTO {table.facts} VALUES (?, ?, ?)",  # noqa: S608 - the same
        [(*fact, n) for fact in facts],
    )


def _remove_facts(connection: sqlite3.Connection, table: _Table, n: int, metadata: str) -> None:
    connection.executemany(
        f"DELETE FROM {table.facts} WHERE path = ? AND value = ? AND n = ?",  # noqa: S608 - the same
        [(*fact, n) for fact in facts_of(json.loads(metadata))],
    )


def micros(at: datetime) -> int:
    """Return an instant as the tables hold it."""
    return (at - _EPOCH) // _MICROSECOND
