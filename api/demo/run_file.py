"""What the archive's file of a run holds, read as any reader of JSONL would."""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

#: What a run's terminal event is called in log and archive; on the wire all are shown as ``end``.
TERMINALS: Final = frozenset({"end", "cancel", "error", "dead_letter"})

#: How long the sink, which follows the log by itself, may be behind.
PATIENCE_S: Final = 15.0

_POLL_S = 0.05


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a run's file; none when there is no file yet."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    # Whole lines only: the sink may be writing.
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def is_complete(lines: list[dict[str, Any]]) -> bool:
    """Return whether the run's last event is in the file."""
    return bool(lines) and lines[-1]["event_type"] in TERMINALS


async def await_complete(path: Path) -> list[dict[str, Any]]:
    """Wait until the run's last event is in the file, and return its lines.

    Returns:
        The lines; without the last event when it did not come in time.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        lines = await asyncio.to_thread(read_lines, path)
        if is_complete(lines) or time.monotonic() > deadline:
            return lines
        await asyncio.sleep(_POLL_S)


@dataclass(frozen=True)
class FileCounts:
    """What a run's file says about the run.

    Attributes:
        events: Number of lines by event type, in the order of first appearance.
        duration_s: From the first event to the last, by the publisher's clock.
        size_bytes: Of the file.
    """

    events: Counter[str]
    duration_s: float
    size_bytes: int


def count_file(path: Path, lines: list[dict[str, Any]]) -> FileCounts:
    """Count the lines of a run's file."""
    first, last = (datetime.fromisoformat(lines[place]["created_at"]) for place in (0, -1))
    events = Counter(line["event_type"] for line in lines)
    return FileCounts(events, (last - first).total_seconds(), path.stat().st_size)
