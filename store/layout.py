"""Where everything of an archive lies, spelled in this one file.

No path is built from an id that was not checked, so that no id can lead out of the archive.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridge import InvalidIdError, RunRef, check_id

_THREADS: Final = "threads"
_RUNS: Final = "runs"
_SUFFIX: Final = ".jsonl"


class ArchiveLayout:
    """The names below one data directory.

    Args:
        root: The data directory; the archive is one of several things that may lie in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.threads = root / _THREADS
        self.dead_letters = root / "dead_letter.jsonl"
        self.lock = root / "archive.lock"
        self.mark = root / "archive.json"

    def run(self, run: RunRef) -> Path:
        """Where the records of a run are.

        Raises:
            InvalidIdError: An id is not one subject token.
        """
        thread_id, run_id = RunRef.checked(*run)
        return self.threads / thread_id / _RUNS / (run_id + _SUFFIX)

    def runs(self, thread_id: str) -> list[RunRef]:
        """Return the runs of a thread that have a file, in no particular order.

        Raises:
            InvalidIdError: The id is not one subject token.
        """
        directory = self.threads / check_id("thread_id", thread_id) / _RUNS
        try:
            names = [path.name for path in directory.iterdir()]
        except FileNotFoundError:
            return []
        stems = [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]
        return [RunRef(thread_id, stem) for stem in stems if is_id(stem)]

    def all_runs(self) -> Iterator[RunRef]:
        """Yield all runs that have a file, thread by thread in the order of their names."""
        try:
            threads = sorted(path.name for path in self.threads.iterdir())
        except FileNotFoundError:
            return
        for thread_id in threads:
            if is_id(thread_id):
                yield from sorted(self.runs(thread_id))

    def thread_deleted(self, thread_id: str) -> Path:
        """Where it says that a thread was deleted, in an archive that is written directly.

        Raises:
            InvalidIdError: The id is not one subject token.
        """
        return self.threads / check_id("thread_id", thread_id) / "deleted.json"


def is_id(name: str) -> bool:
    """Whether a name in the archive can be an id; anything else was put there by somebody."""
    try:
        check_id("name", name)
    except InvalidIdError:
        return False
    return True
