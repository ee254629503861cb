"""Where everything of an archive lies, spelled in this one file.

No path is built from an id that was not checked, so that no id can lead out of the archive.
"""

from pathlib import Path
from typing import Final

from bridge import RunRef

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
