"""How commands reach the NATS server that another process of ours runs on a data directory.

The process writes address and credentials into a file that only its user can read. They are new at
each start, and worth nothing without the server that has them.
"""

import json
import os
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from bridge import EmbeddedServer
from bridge.server.directory_lock import find_holder

ACCESS_FILE: Final = "access.json"
_OWNER_ONLY: Final = 0o600


class ServerAccess(BaseModel):
    """What a client needs of a running server.

    Attributes:
        url: Its address.
        user: Who may do everything there.
        password: Of that user.
        sync_always: Whether it forces each write to disk.
        pid: The process that runs it.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    user: str
    password: SecretStr
    sync_always: bool
    pid: int

    @classmethod
    def of(cls, server: EmbeddedServer) -> Self:
        """Return what reaches a server that this process runs."""
        return cls(
            url=server.url,
            user=server.user,
            password=server.password,
            sync_always=server.sync_always,
            pid=os.getpid(),
        )

    @classmethod
    def find(cls, directory: Path) -> Self | None:
        """Return what reaches the server that runs on ``directory``.

        ``None`` when none does, or when the one that does has not written its file yet: what a
        killed process has left is not believed.
        """
        try:
            access = cls.model_validate_json((directory / ACCESS_FILE).read_bytes())
        except (OSError, ValidationError):
            return None
        return access if access.pid == find_holder(directory) else None

    def write(self, directory: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OSError: The directory cannot be written to.
        """
        shown = {**self.model_dump(), "password": self.password.get_secret_value()}
        new = directory / f"{ACCESS_FILE}.new"
        new.unlink(missing_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
        with os.fdopen(fd, "w") as file:
            json.dump(shown, file)
        new.replace(directory / ACCESS_FILE)

    @staticmethod
    def remove(directory: Path) -> None:
        """Remove the file, if it is there."""
        (directory / ACCESS_FILE).unlink(missing_ok=True)
