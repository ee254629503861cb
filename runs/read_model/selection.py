"""Turn a query into SQL, so that a page costs what it shows and not what there is.

Pages follow an index in their order. Where few rows have the wanted metadata these are looked up
first and sorted; where many have it, rows are tried in the order of the page.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge import encode_json
from runs.read_model.contents import MAX_FACTS, Fact, facts_of, is_told_by_facts
from runs.read_model.projection import micros
from runs.read_model.queries import Found, Row, RunQuery, ThreadQuery

#: Up to so many rows are quicker sorted than found in the order of the page.
_FEW: Final = 2000


class Selection:
    """Conditions on one table, all of which must hold.

    Args:
        connection: Where the table is.
        table: The table; its facts are in another one.
        facts: That one.
    """

    def __init__(self, connection: sqlite3.Connection, table: str, facts: str) -> None:
        self._connection = connection
        self._table = table
        self._facts = facts
        self._terms = ["is_shown = 1"]
        self._values: list[Any] = []
        self._is_small = False
        # The one condition, when it is that rows have this fact, and how many values it takes.
        self._only_fact: Fact | None = None
        self._metadata_values = 0

    def add(self, term: str, *values: object) -> None:
        """Add a condition."""
        self._terms.append(term)
        self._values.extend(values)

    def add_common(self, query: ThreadQuery | RunQuery, key: str) -> None:
        """Add what queries of both kinds have.

        Args:
            query: The query.
            key: The column of the ids.
        """
        if query.ids is not None:
            wanted = encode_json(query.ids).decode()
            self.add(f"{key} IN (SELECT value FROM json_each(?))", wanted)  # noqa: S608 - a name of ours
            self._is_small = True
        if query.user_id is not None:
            self.add("user_id = ?", query.user_id)
        limits = {
            "created_at >= ?": query.created_after,
            "created_at < ?": query.created_before,
            "updated_at >= ?": query.updated_after,
            "updated_at < ?": query.updated_before,
        }
        for term, at in limits.items():
            if at is not None:
                self.add(term, micros(at))
        if query.metadata:
            self._add_metadata(query.metadata)

    def _add_metadata(self, wanted: Mapping[str, Any]) -> None:
        facts = sorted(facts_of(wanted), key=self._count_few)[: MAX_FACTS + 1]
        if len(facts) > MAX_FACTS:
            self.add("is_wide = 1")
        elif facts and self._count_few(facts[0]) < _FEW:
            self.add(
                f"n IN (SELECT n FROM {self._facts} WHERE path = ? AND value = ?"  # noqa: S608 - a name of ours
                f" UNION SELECT n FROM {self._table} WHERE is_wide = 1)",
                *facts.pop(0),
            )
            self._is_small = True
        elif len(facts) == 1 and is_told_by_facts(wanted) and not self._values:
            self._only_fact = facts[0]
        for fact in facts[:MAX_FACTS]:
            self.add(f"(is_wide = 1 OR {self._has_fact})", *fact)
        told = "is_wide = 0 OR " if is_told_by_facts(wanted) else ""
        self.add(f"({told}contains_json(metadata, ?))", encode_json(wanted).decode())
        self._metadata_values = len(self._values)

    @property
    def _has_fact(self) -> str:
        return (
            f"EXISTS (SELECT 1 FROM {self._facts} f"  # noqa: S608 - a name of ours
            f" WHERE f.path = ? AND f.value = ? AND f.n = {self._table}.n)"
        )

    def _count_few(self, fact: Fact) -> int:
        few = f"SELECT 1 FROM {self._facts} WHERE path = ? AND value = ? LIMIT {_FEW}"  # noqa: S608 - a name of ours
        return self._count(f"SELECT count(*) FROM ({few})", *fact)  # noqa: S608 - the same

    def _total(self, source: str) -> int:
        fact = self._only_fact
        if fact is None or len(self._values) > self._metadata_values:
            return self._count(f"SELECT count(*) {source}", *self._values)
        # Rows that have one common fact are counted in the index, without a look at each.
        having = f"SELECT count(*) FROM {self._facts} WHERE path = ? AND value = ?"  # noqa: S608 - a name of ours
        hidden = f"SELECT count(*) FROM {self._table} WHERE is_shown = 0 AND {self._has_fact}"  # noqa: S608 - the same
        wide = f"SELECT count(*) {source} AND is_wide = 1"
        return (
            self._count(having, *fact)
            - self._count(hidden, *fact)
            + self._count(wide, *self._values)
        )

    def tally(self, column: str) -> dict[str, int]:
        """Count what fits by the values of a column; a value that nothing has is left out."""
        where = " AND ".join(self._terms)
        rows = self._connection.execute(
            f"SELECT {column}, count(*) FROM {self._table} WHERE {where} GROUP BY {column}",  # noqa: S608 - names of ours
            self._values,
        )
        return dict(rows.fetchall())

    def _count(self, statement: str, *values: object) -> int:
        return int(self._connection.execute(statement, values).fetchone()[0])

    def page(self, columns: str, order: Sequence[str], *, descending: bool, span: slice) -> Found:
        """Read one page, and count what is on all pages.

        Args:
            columns: The id and the revision.
            order: The columns to sort by.
            descending: Whether the whole order is reversed.
            span: Which rows.
        """
        where = " AND ".join(self._terms)
        source = f"FROM {self._table} WHERE {where}"
        total = self._total(source)
        direction = "DESC" if descending else "ASC"
        # A plus keeps SQLite from walking through an index instead of sorting what is small.
        sign = "+" if self._is_small else ""
        by = ", ".join(f"{sign}{column} {direction}" for column in order)
        limit = (span.stop - span.start, span.start)
        rows = self._connection.execute(
            f"SELECT {columns} {source} ORDER BY {by} LIMIT ? OFFSET ?", (*self._values, *limit)
        )
        return Found([Row(*row) for row in rows], total)


def find_threads(connection: sqlite3.Connection, query: ThreadQuery, span: slice) -> Found:
    """Return one page of the threads that are wanted."""
    selection = Selection(connection, "threads", "thread_facts")
    selection.add_common(query, "thread_id")
    if query.status is not None:
        selection.add("status = ?", query.status.value)
    order = {
        "thread_id": ("thread_id",),
        "status": ("status", "updated_at", "thread_id"),
    }.get(query.sort_by, (query.sort_by, "thread_id"))
    columns = "thread_id, revision"
    return selection.page(columns, order, descending=query.is_descending, span=span)


def find_runs(connection: sqlite3.Connection, query: RunQuery, span: slice) -> Found:
    """Return one page of the runs that are wanted."""
    selection = _wanted_runs(connection, query)
    order = {
        "run_id": ("run_id",),
        "status": ("status", "created_at", "run_id"),
    }.get(query.sort_by, (query.sort_by, "run_id"))
    columns = "run_id, revision"
    return selection.page(columns, order, descending=query.is_descending, span=span)


def tally_runs(connection: sqlite3.Connection, query: RunQuery) -> dict[str, int]:
    """Count the runs that are wanted by their status."""
    return _wanted_runs(connection, query).tally("status")


def _wanted_runs(connection: sqlite3.Connection, query: RunQuery) -> Selection:
    selection = Selection(connection, "runs", "run_facts")
    selection.add_common(query, "run_id")
    if query.thread_id is not None:
        selection.add("thread_id = ?", query.thread_id)
    if query.statuses is not None:
        places = ", ".join("?" * len(query.statuses))
        selection.add(f"status IN ({places})", *(status.value for status in query.statuses))
    if query.assistant is not None:
        selection.add("(executor = ? OR assistant_id = ?)", query.assistant, query.assistant)
    if query.text is not None:
        shown = "run_id || ' ' || thread_id || ' ' || executor || ' ' || error || ' ' || metadata"
        selection.add(f"instr(lower({shown}), ?)", _lower(query.text))
    return selection


def inflight_threads(connection: sqlite3.Connection, user_id: str | None) -> list[str]:
    """Return the threads that have runs under way, of one user or of all."""
    found = connection.execute(
        """
        SELECT DISTINCT thread_id FROM runs
        WHERE is_shown = 1 AND status IN ('pending', 'running') AND (? IS NULL OR user_id = ?)
        """,
        (user_id, user_id),
    )
    return [thread_id for (thread_id,) in found]


def _lower(text: str) -> str:
    # As SQLite does it: ASCII alone.
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)
