"""Why a process of jetrun did not start, or could not do what its command line asked for.

Each message says what to do next; the command line shows it without a traceback.
"""

from collections.abc import Sequence
from pathlib import Path


class StartupError(Exception):
    """Base of what ends a command with one line and no traceback; nothing was left running."""


class ConfigFileError(StartupError):
    """The configuration file cannot be used as it is."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class InvalidSettingsError(StartupError):
    """Settings do not hold what they must; each problem names where its value came from."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class ExposedHostError(StartupError):
    """The gateway would let everyone who reaches the address in."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"refusing to listen on {host}: requests are not authenticated, so everyone who "
            "reaches that address could read and start runs; set JETRUN_AUTH__METHODS, listen on "
            "127.0.0.1 behind a proxy that authenticates, or pass --allow-unauthenticated"
        )
        self.host = host


class ListenError(StartupError):
    """The address cannot be listened on."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"cannot listen on {host}:{port}: {reason}; choose another --host or --port"
        )
        self.host = host
        self.port = port


class DataDirectoryError(StartupError):
    """The data directory cannot be used; nothing was written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: cannot be used as data directory ({reason}); choose another one")
        self.path = path


class ChildStartError(StartupError):
    """A process that a command depends on ended, or was not ready in time."""

    def __init__(self, name: str, reason: str, log_path: Path | None = None) -> None:
        where = f"; see {log_path}" if log_path else ""
        super().__init__(f"{name} {reason}{where}")
        self.name = name
        self.log_path = log_path
