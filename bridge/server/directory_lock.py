"""One owner per directory, for as long as the owner or a child that inherited the lock lives.

The lock is an flock on a file inside the directory. The kernel drops it when the last descriptor
of it closes, so nothing stale remains after a SIGKILL or a power cut.
"""

import asyncio
import fcntl
import os
import time
from pathlib import Path

from bridge.server.errors import DirectoryInUseError

LOCK_FILE = "lock"
_POLL_S = 0.01


class DirectoryLock:
    """The exclusive lock of one directory; ``fd`` may be handed down to a child process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The locked descriptor; a child that inherits it holds the lock, too."""
        if self._fd is None:
            msg = "the lock is not held"
            raise RuntimeError(msg)
        return self._fd

    async def acquire(self, patience_s: float = 1.0) -> None:
        """Take the lock and record this process as its holder; harmless when held already.

        Args:
            patience_s: Seconds to wait for an owner that is just leaving, for instance a server
                whose parent was killed a moment ago. 0 tries once.

        Raises:
            DirectoryInUseError: The lock is still held by another owner.
        """
        if self._fd is not None:
            return
        path = self._directory / LOCK_FILE
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await self._lock(fd, time.monotonic() + patience_s)
        except BaseException:
            os.close(fd)
            raise
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    async def _lock(self, fd: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise DirectoryInUseError(self._directory, _holder(fd)) from None
                await asyncio.sleep(_POLL_S)
            else:
                return

    def release(self) -> None:
        """Close this process's descriptor; without effect when the lock is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def find_holder(directory: Path) -> int | None:
    """Return the process that holds a directory's lock at this moment, as far as it says so."""
    try:
        fd = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None  # nobody was ever there, or it is somebody else's
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(fd)
    finally:
        os.close(fd)
    return None


def _holder(fd: int) -> int | None:
    recorded = os.pread(fd, 32, 0).strip()
    return int(recorded) if recorded.isdigit() else None
