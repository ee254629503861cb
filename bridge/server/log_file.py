"""The log file of an embedded server: appended to by the server, read back when a start fails."""

import os
from pathlib import Path

_MAX_BYTES = 16 * 1024 * 1024
_TAIL_BYTES = 4096
_TAIL_LINES = 15


class ServerLog:
    """One log file with at most one predecessor (``.old``), so that it cannot fill the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    def begin(self) -> None:
        """Prepare for another start: put a large file aside and remember where this one begins."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size > _MAX_BYTES:
            self.path.replace(self.path.with_name(f"{self.path.name}.old"))
            size = 0
        self._start = size

    def tail(self) -> str:
        """Return the last lines written since :meth:`begin`."""
        with self.path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._start, end - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])
