"""The books of the demonstration: what arrived over SSE, compared with what the archive holds.

Both sides are counted from their raw form, an id's text and a file's lines, with nothing of the
code that wrote them.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from api.run_stream import END_EVENT
from api.sse_client import SseMessage

#: What a run's terminal event is called in log and archive; on the wire all are shown as ``end``.
_TERMINALS = frozenset({"end", "cancel", "error", "dead_letter"})


class ReceivedEvents:
    """Every message of the stream, in the order of arrival, and what was wrong with it."""

    def __init__(self) -> None:
        self._messages: list[SseMessage] = []
        self.problems: list[str] = []
        self.has_ended = False

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: SseMessage) -> None:
        """Note a message; its number must be the next one."""
        if message.event == "gap":
            self.problems.append(f"a gap was reported after {message.id}: {message.data}")
            return
        if message.event == "error":
            # It shares its id with the `end` that follows.
            self.problems.append(f"the run failed: {message.data}")
            return
        self.has_ended = message.event == END_EVENT
        expected = len(self._messages) + 1
        number = message.id.rpartition("-")[2]
        if number != str(expected):
            self.problems.append(f"event {message.id} arrived where number {expected} was due")
        self._messages.append(message)

    def differences(self, lines: list[dict[str, Any]]) -> list[str]:
        """Compare with the lines of the run's file, one by one.

        Returns:
            What differs; nothing when every event is in the file once, in order, unchanged.
        """
        found: list[str] = []
        if len(lines) != len(self._messages):
            found.append(f"{len(self._messages)} events arrived, the file has {len(lines)} lines")
        for number, (message, line) in enumerate(zip(self._messages, lines, strict=False), 1):
            if line["run_seq"] != number:
                found.append(f"line {number} of the file has run_seq {line['run_seq']}")
            elif not _is_same(message, line):
                found.append(f"line {number} of the file differs from event {message.id}")
        return found


def _is_same(message: SseMessage, line: dict[str, Any]) -> bool:
    if message.id != f"{line['seq']}-{line['run_seq']}":
        return False
    if message.event == END_EVENT:
        return bool(line["event_type"] in _TERMINALS)
    return (message.event, json.loads(message.data)) == (line["event_type"], line["content"])


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
    return bool(lines) and lines[-1]["event_type"] in _TERMINALS


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
