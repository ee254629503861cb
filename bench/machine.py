"""Facts that figures depend on: the machine, the versions, the day."""

import os
import platform
import resource
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bridge.server.binary import find_server_binary

_PACKAGES: Final = ("nats-py", "uvloop", "aiohttp", "orjson")


async def facts() -> list[tuple[str, str]]:
    """Return the facts by name, in the order to show them."""
    binary = await find_server_binary()
    shown = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)  # noqa: ASYNC221 - before anything is measured
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return [
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("machine", f"{os.cpu_count()} cores ({_cpu_model()}), {_memory()} memory"),
        ("kernel", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("python", f"{platform.python_version()}, {packages}"),
        ("server", shown.stdout.strip().replace(":", "")),
        ("load before", " ".join(f"{load:.2f}" for load in os.getloadavg())),
    ]


def raise_open_files() -> None:
    """Allow this process and its children as many open files as the system lets them have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def _memory() -> str:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{total / (1 << 30):.1f} GiB"
