"""One file for each process: the first of a directory that nobody else has.

The right to a file is an flock on another one beside it. The kernel drops it with the process, so a
process that is started again finds the file of the one before, as far as that had come.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from runs.errors import ReadModelUnavailableError

_MAX_SLOTS: Final = 64


class Slot:
    """The right to one file, until it is released.

    Args:
        directory: Where the files are; it is made where it is absent. On a disk of this machine:
            SQLite cannot share memory over a network.

    Attributes:
        path: The file; it may not be there yet.

    Raises:
        ReadModelUnavailableError: The directory cannot be written, or all files are in use.
    """

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            number, self._fd = _lock_first(directory)
        except OSError as error:
            reason = f"{directory}: {error.strerror or error}"
            raise ReadModelUnavailableError(reason) from error
        self.path = directory / f"{number}.sqlite3"

    def release(self) -> None:
        """Leave the file to others."""
        os.close(self._fd)


def _lock_first(directory: Path) -> tuple[int, int]:
    for number in range(_MAX_SLOTS):
        path = directory / f"{number}.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
        else:
            return number, fd
    raise ReadModelUnavailableError(f"{directory}: all {_MAX_SLOTS} files are in use")
