"""One writer per archive, for as long as that process lives.

The lock is an flock. The kernel drops it with the process, so nothing stale remains after a
SIGKILL or a power cut, and it never has to be broken by hand.
"""

import fcntl
import os
import socket
from pathlib import Path

from store.errors import ArchiveLockedError


class ArchiveLock:
    """The exclusive right to write one archive.

    Args:
        path: The lock file; its directory must exist. It stays when the lock is released.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock, or say at once who holds it.

        Raises:
            ArchiveLockedError: Another process holds it; call again later.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(fd, 256, 0).decode(errors="replace").strip()
            os.close(fd)
            raise ArchiveLockedError(self._path.parent, holder or None) from None
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def release(self) -> None:
        """Give the lock to whoever waits; without effect when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
