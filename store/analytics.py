"""Ask the archive's files with SQL, and export them, by DuckDB (extra ``analytics``).

The files are read where they lie, compressed or not; nothing is imported first. A sink may go on
writing: a line that is being written at this moment is not seen. A damaged line is not seen either:
``jetrun verify`` finds it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from bridge import check_id
from store.errors import AnalyticsMissingError, EmptyArchiveError, QueryError
from store.layout import ArchiveLayout
from store.run_forms import is_compressed

if TYPE_CHECKING:
    import duckdb

#: The columns of ``records``, as DuckDB types them.
COLUMNS: Final = {
    "thread_id": "VARCHAR",
    "run_id": "VARCHAR",
    "seq": "UBIGINT",
    "run_seq": "UBIGINT",
    "created_at": "TIMESTAMP",  # in UTC
    "event_type": "VARCHAR",
    "category": "VARCHAR",
    "metadata": "JSON",
    "content": "JSON",
}
#: What the first key of a line is in a newer version.
_VERSION: Final = "version"
#: Above the longest line: an event of 8 MiB, escaped.
_MAX_LINE_BYTES: Final = 64 << 20
_FETCHED_ROWS: Final = 1000


class Analytics:
    """SQL over one archive; a context manager.

    The view ``records`` has a row for each record, but for the markers of deleted runs.

    Args:
        root: The data directory.
        thread_id: Only this thread; ``None`` means all.
        memory_limit: What DuckDB may use, for example ``1GB``; beyond it, it spills to disk.

    Raises:
        AnalyticsMissingError: DuckDB is not installed.
        EmptyArchiveError: There is no file to ask.
        InvalidIdError: ``thread_id`` is not one subject token.
    """

    def __init__(
        self, root: Path, *, thread_id: str | None = None, memory_limit: str = "1GB"
    ) -> None:
        self._layout = ArchiveLayout(root)
        if thread_id is not None:
            check_id("thread_id", thread_id)
        self._connection = _connect(memory_limit)
        try:
            self._make_view(thread_id)
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _make_view(self, thread_id: str | None) -> None:
        files = self._files(thread_id)
        if not files:
            raise EmptyArchiveError(self._layout.root)
        kinds = {**COLUMNS, _VERSION: "UBIGINT"}
        columns = ", ".join(f"{name}: '{kind}'" for name, kind in kinds.items())
        self._connection.execute("SET VARIABLE files = ?", [files])
        self._connection.execute(
            f"CREATE VIEW records AS SELECT {', '.join(COLUMNS)} FROM read_json("  # noqa: S608 - nothing of a user's
            f"getvariable('files'), format = 'newline_delimited', columns = {{{columns}}}, "
            f"ignore_errors = true, maximum_object_size = {_MAX_LINE_BYTES}) "
            # A line that cannot be read is a row of NULLs.
            "WHERE seq IS NOT NULL AND event_type <> 'deleted' "
            f"AND CASE WHEN {_VERSION} IS NULL THEN true ELSE "
            "error('the archive has lines of a newer version: upgrade jetrun') END"
        )

    def _files(self, thread_id: str | None) -> list[str]:
        """Return the file of each run, in the form that counts."""
        layout = self._layout
        runs = layout.all_runs() if thread_id is None else layout.runs(thread_id)
        return [
            str(layout.compressed(run) if is_compressed(layout, run) else layout.run(run))
            for run in runs
        ]

    def query(self, sql: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
        """Run one statement.

        Returns:
            The names of the columns, and the rows, which are fetched as they are taken.

        Raises:
            QueryError: DuckDB refuses it, or a file was compressed since this object was made.
        """
        with _translated():
            result = self._connection.execute(sql)
            names = [column[0] for column in result.description or []]
        return names, _rows(result)

    def export_parquet(self, target: Path) -> int:
        """Write all records into one Parquet file; a crash leaves none, or the one before.

        Returns:
            How many records it holds.

        Raises:
            QueryError: The file cannot be written.
        """
        draft = target.with_name(f"{target.name}.draft")
        with _translated():
            # Rows need no order of their own, so that memory stays bounded.
            self._connection.execute("SET preserve_insertion_order = false")
            written = self._connection.execute(
                f"COPY records TO '{_quoted(str(draft))}' (FORMAT parquet, COMPRESSION zstd)"
            ).fetchone()
        draft.replace(target)
        return int(written[0]) if written else 0


def _connect(memory_limit: str) -> "duckdb.DuckDBPyConnection":
    try:
        import duckdb  # noqa: PLC0415 - an extra, which only those who ask need
    except ImportError as error:
        raise AnalyticsMissingError from error
    with _translated():
        return duckdb.connect(
            config={
                "memory_limit": memory_limit,
                # Nothing is fetched from the network.
                "autoinstall_known_extensions": False,
            }
        )


@contextmanager
def _translated() -> Iterator[None]:
    import duckdb  # noqa: PLC0415 - as above

    try:
        yield
    except duckdb.IOException as error:
        message = f"{error} (a sink may have compressed or removed the file: ask again)"
        raise QueryError(message) from error
    except duckdb.Error as error:
        raise QueryError(str(error)) from error


def _rows(result: "duckdb.DuckDBPyConnection") -> Iterator[Sequence[Any]]:
    with _translated():
        while rows := result.fetchmany(_FETCHED_ROWS):
            yield from rows


def _quoted(text: str) -> str:
    return text.replace("'", "''")
