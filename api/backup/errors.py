"""Why a backup was not taken, or not restored."""

from pathlib import Path

from api.startup_errors import StartupError


class BackupTargetError(StartupError):
    """There is something already where a backup, or what it restores, shall be; it is untouched."""

    def __init__(self, place: str, found: str) -> None:
        super().__init__(f"{place} holds {found}; name one that is empty")
        self.place = place
        self.found = found


class DamagedBackupError(StartupError):
    """The directory is no whole backup; nothing was restored."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}; nothing was restored, use another backup")
        self.path = path
        self.problem = problem


class NewerBackupError(StartupError):
    """A newer version took the backup; nothing was restored."""

    def __init__(self, path: Path, found: object, known: int) -> None:
        super().__init__(
            f"{path} is a backup of version {str(found)[:20]}, and this jetrun restores version "
            f"{known}; nothing was restored, upgrade jetrun"
        )
        self.path = path


class BackupInterruptedError(StartupError):
    """A backup could not be completed; what was written is no backup and can be removed."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"no backup was made: {reason}; remove {path} and begin again")
        self.path = path


class RestoreInterruptedError(StartupError):
    """A restore could not be completed, and was taken back as far as the message says."""

    def __init__(self, reason: str, left: list[str]) -> None:
        rest = f"; remove by hand: {', '.join(left)}" if left else "; everything was taken back"
        super().__init__(f"nothing was restored: {reason}{rest}; then begin again")
        self.left = left
