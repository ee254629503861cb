"""Every error that the archive raises, and what state each one leaves behind.

``code`` is stable and safe to match on. ``retryable`` says whether the same call can succeed
later without a change by the caller.
"""

from pathlib import Path
from typing import ClassVar


class StoreError(Exception):
    """Base of all errors of this package."""

    code: ClassVar[str] = "store"
    retryable: ClassVar[bool] = False


class ArchiveLockedError(StoreError):
    """Another process writes the archive; nothing was touched."""

    code = "archive-locked"
    retryable = True

    def __init__(self, root: Path, holder: str | None) -> None:
        super().__init__(
            f"the archive {root} is written by {holder or 'another process'}; stop that sink, "
            "or leave this one waiting as its standby"
        )
        self.root = root
        self.holder = holder


class LogReplacedError(StoreError):
    """The log is not the one that the archive was written from; nothing was written."""

    code = "log-replaced"

    def __init__(self, root: Path, archived_seq: int, log_seq: int) -> None:
        super().__init__(
            f"the archive {root} holds events up to sequence {archived_seq}, but the log stands "
            f"at {log_seq}: the log was wiped, or is another one. Connect to the log that the "
            "archive belongs to, or start a new archive in another data directory"
        )
        self.root = root
        self.archived_seq = archived_seq
        self.log_seq = log_seq


class RunSeqHoleError(StoreError):
    """An event does not follow the file's last one; nothing was written.

    Read the events in between from the log and append them first.
    """

    code = "run-seq-hole"

    def __init__(self, run_id: str, expected: int, found: int) -> None:
        super().__init__(f"run {run_id}: event {expected} is next, not {found}")
        self.run_id = run_id
        self.expected = expected
        self.found = found


class InvalidPayloadError(StoreError, ValueError):
    """A stored event is not JSON, so it cannot become a record; nothing was written."""

    code = "invalid-payload"


class MalformedLineError(StoreError, ValueError):
    """A line of an archive file is no record; its neighbours are not affected."""

    code = "malformed-line"


class NewerArchiveError(StoreError, OSError):
    """A file holds lines of a newer version; nothing was changed.

    Another process may read it: upgrade this one.
    """

    code = "newer-archive"

    def __init__(self, found: object, known: int) -> None:
        super().__init__(
            f"a line of the archive is of version {str(found)[:20]}, and this process reads "
            f"version {known}; upgrade this process"
        )
        self.found = found


class InvalidPageError(StoreError, ValueError):
    """A list was asked for in a way that means nothing; nothing was read."""

    code = "invalid-page"


class RunNotArchivedError(StoreError):
    """The run has no file, because no sink has seen it yet, or none is there; try again."""

    code = "run-not-archived"
    retryable = True

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has no file yet: the sink writes it within moments")
        self.run_id = run_id


class AnalyticsMissingError(StoreError):
    """DuckDB is not installed."""

    code = "analytics-missing"

    def __init__(self) -> None:
        super().__init__('DuckDB is needed: pip install "jetrun[analytics]"')


class EmptyArchiveError(StoreError):
    """There is no file of a run in the archive; nothing was asked."""

    code = "empty-archive"

    def __init__(self, root: Path) -> None:
        super().__init__(f"the archive {root} has no runs; --data names another directory")
        self.root = root


class QueryError(StoreError):
    """DuckDB refuses a statement, or cannot carry it out; the archive is as it was."""

    code = "query"


class ErasureDelayedError(StoreError):
    """The log has deleted the runs, but their files are still there because no sink is at work.

    Start a sink: it erases them by itself. Calling again waits for it.
    """

    code = "erasure-delayed"
    retryable = True

    def __init__(self, thread_id: str, files: int) -> None:
        super().__init__(
            f"thread {thread_id}: {files} files of deleted runs wait for a sink to erase them"
        )
        self.thread_id = thread_id
        self.files = files


class ArchiveMarkError(StoreError):
    """The archive's mark cannot be read; nothing was written."""

    code = "archive-mark"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is damaged ({reason}); if the log is the one that this archive was written "
            "from, delete that file and start again"
        )
        self.path = path


class DamagedFileError(StoreError, OSError):
    """A compressed file cannot be read at any place; what it holds may still be there.

    ``zstd -dc`` reads the frames before the damage.
    """

    code = "damaged-file"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged: {reason}")
        self.path = path
