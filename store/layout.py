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
_COMPRESSED: Final = ".jsonl.zst"


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
        """Where the records of a run are, while it may grow.

        Raises:
            InvalidIdError: An id is not one subject token.
        """
        return self._run(run, _SUFFIX)

    def compressed(self, run: RunRef) -> Path:
        """Where they are once they were compressed; errors as for :meth:`run`."""
        return self._run(run, _COMPRESSED)

    def draft(self, run: RunRef) -> Path:
        """Where a file is made that will take the place of a run's; errors as for :meth:`run`."""
        return self._run(run, ".draft")

    def _run(self, run: RunRef, suffix: str) -> Path:
        thread_id, run_id = RunRef.checked(*run)
        return self.threads / thread_id / _RUNS / (run_id + suffix)

    def has(self, run: RunRef) -> bool:
        """Whether a run has a file, in either form; errors as for :meth:`run`."""
        # Between the two looks it may have been compressed, but hardly brought back as well.
        return any(path.exists() for path in (self.run(run), self.compressed(run), self.run(run)))

    def new_copy(self, run: RunRef, original: Path) -> Path:
        """Where a file of a run is kept that another one takes the place of."""
        # No name that whoever reads all files of an archive would take for a run's.
        form = "" if original.suffix == _SUFFIX else original.suffix
        number = 1
        while (kept := self._run(run, f".old-{number}{form}")).exists():
            number += 1
        return kept

    def leftovers(self, run: RunRef) -> list[Path]:
        """Return what lies beside a run's file and holds records of it: old copies and drafts."""
        directory = self.run(run).parent
        return sorted(
            path
            for path in directory.glob(f"{run.run_id}.*")
            if path.name not in {run.run_id + _SUFFIX, run.run_id + _COMPRESSED}
        )

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
        stems = {
            name.removesuffix(suffix)
            for name in names
            for suffix in (_SUFFIX, _COMPRESSED)
            if name.endswith(suffix)
        }
        return [RunRef(thread_id, stem) for stem in stems if is_id(stem)]

    def thread_ids(self) -> list[str]:
        """Return the threads that have a directory, in the order of their names."""
        try:
            names = sorted(path.name for path in self.threads.iterdir())
        except FileNotFoundError:
            return []
        return [name for name in names if is_id(name)]

    def all_runs(self) -> Iterator[RunRef]:
        """Yield all runs that have a file, thread by thread in the order of their names."""
        for thread_id in self.thread_ids():
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
