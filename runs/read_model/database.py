"""A SQLite database in threads of its own, so that no call makes the event loop wait.

One thread writes and a few read; in a file readers and the writer do not wait for each other. The
database can be thrown away at any time: what is damaged, or of another version, starts over empty.
"""

import asyncio
import logging
import sqlite3
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from runs.errors import ReadModelUnavailableError
from runs.read_model.contents import contains_json
from runs.read_model.schema import SCHEMA_VERSION, STATEMENTS

_LOG = logging.getLogger("jetrun.read_model")
Result = TypeVar("Result")

Work = Callable[[sqlite3.Connection], Result]

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
#: What SQLite leaves beside a database file.
_COMPANIONS: Final = ("", "-wal", "-shm", "-journal")


class Database:
    """Runs work on connections to one database.

    Args:
        path: The file, which is this process's alone; ``None`` keeps everything in memory.
        max_readers: Reads at one time; more wait for their turn. In memory it is always one.
    """

    def __init__(self, path: Path | None, *, max_readers: int) -> None:
        self._path = path
        self._writers = ThreadPoolExecutor(1, "read-model-write")
        self._readers = self._writers
        if path is not None:
            self._readers = ThreadPoolExecutor(max_readers, "read-model-read")
        # The first one writes.
        self._open: list[sqlite3.Connection] = []
        self._idle: list[sqlite3.Connection] = []
        # Held while the file is replaced: a reader must not open the new one before it has tables.
        self._replacing = Lock()
        # Nobody closes what is kept in memory for the length of a script.
        self._finalizer = weakref.finalize(self, _close_all, self._open)

    async def write(self, work: Work[Result]) -> Result:
        """Run ``work`` in the thread that writes, as one transaction; all of it is done or nothing.

        It is done to its end even when the caller is cancelled.

        Raises:
            ReadModelUnavailableError: The database cannot be used, or is damaged and empty now.
        """

        def run() -> Result:
            connection = self._writer()
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
            return result

        return await self._run(self._writers, run)

    async def read(self, work: Work[Result]) -> Result:
        """Run ``work``, which changes nothing; all that it reads is of one moment.

        It is cut short when the caller is cancelled.

        Raises:
            ReadModelUnavailableError: The database cannot be used, or is damaged and empty now.
        """
        lent: list[sqlite3.Connection] = []

        def run() -> Result:
            connection = self._reader()
            lent.append(connection)
            try:
                connection.execute("BEGIN")
                return work(connection)
            finally:
                lent.clear()
                connection.rollback()
                self._take_back(connection)

        try:
            return await self._run(self._readers, run)
        except asyncio.CancelledError:
            for connection in lent:
                connection.interrupt()
            raise

    async def start_over(self) -> None:
        """Forget everything."""
        await self._run(self._writers, self._reset)

    async def close(self) -> None:
        """Close the database once the work under way is done."""
        loop = asyncio.get_running_loop()
        for executor in (self._readers, self._writers):
            await loop.run_in_executor(None, executor.shutdown)
        self._finalizer()

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(executor, work)
        except sqlite3.Error as error:
            if _is_damage(error):
                _LOG.error("read_model.damaged", extra={"error": str(error)})
                await loop.run_in_executor(self._writers, self._reset)
            raise ReadModelUnavailableError(str(error)) from error

    def _writer(self) -> sqlite3.Connection:
        if not self._open:
            try:
                self._open.append(_connect(self._path))
                is_usable = _is_usable(self._open[0])
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                is_usable = False
            if not is_usable:
                self._reset()
        return self._open[0]

    def _reset(self) -> None:
        with self._replacing:
            self._replace()

    def _replace(self) -> None:
        # Readers under way go on with the old file, which has no name any more.
        _close_all(self._open[:1])
        del self._open[:]
        while self._idle:
            self._idle.pop().close()
        if self._path is not None:
            for companion in _COMPANIONS:
                Path(f"{self._path}{companion}").unlink(missing_ok=True)
        connection = _connect(self._path)
        try:
            for statement in ("BEGIN", *STATEMENTS, "COMMIT"):
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        self._open.append(connection)

    def _reader(self) -> sqlite3.Connection:
        if self._readers is self._writers:
            return self._writer()
        with self._replacing:
            if self._idle:
                return self._idle.pop()
            connection = _connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            self._open.append(connection)
            return connection

    def _take_back(self, connection: sqlite3.Connection) -> None:
        if self._readers is self._writers:
            return
        with self._replacing:
            if connection in self._open:
                self._idle.append(connection)
            else:
                connection.close()  # of a file that was thrown away meanwhile


def _connect(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        isolation_level=None,
        # One thread at a time has it, but not always the same one.
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA journal_mode = WAL")
    # A power cut may take the newest transactions, never the order of what stays.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.create_function("contains_json", 2, contains_json, deterministic=True)
    return connection


def _is_usable(connection: sqlite3.Connection) -> bool:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        return False
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return bool(verdict == "ok")


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF in _DAMAGED


def _close_all(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()
