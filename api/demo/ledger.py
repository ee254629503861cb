"""The books of the demonstration: what arrived over SSE, compared with what the archive holds.

Both sides are counted from their raw form, an id's text and a file's lines, with nothing of the
code that wrote them.
"""

import json
from itertools import takewhile
from typing import Any

from api.client import END_EVENT, SseMessage

#: What a run's terminal event is called in log and archive; on the wire all are shown as ``end``.
TERMINALS = frozenset({"end", "cancel", "error", "dead_letter"})


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

    @property
    def last_id(self) -> str:
        """The id of the newest event; empty before the first."""
        return self._messages[-1].id if self._messages else ""

    def differences_to_run(self, other: "ReceivedEvents") -> list[str]:
        """Compare with a run that was given the same input, event by event.

        Returns:
            What differs beside the facts that each run has for itself; nothing when the two are
            the same.
        """
        ours, theirs = self.said(), other.said()
        if ours == theirs:
            return []
        pairs = zip(ours, theirs, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        counts = f"{len(ours)} events arrived, {len(theirs)} came undisturbed"
        return [f"{counts}, and only the first {same} are the same"]

    def said(self) -> list[tuple[str, str]]:
        """Return names and data without what each run has for itself, the ids in its birth."""
        return [
            (each.event, "" if each.event == "metadata" else each.data) for each in self._messages
        ]

    def differences_to_file(self, lines: list[dict[str, Any]]) -> list[str]:
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
        return bool(line["event_type"] in TERMINALS)
    return (message.event, json.loads(message.data)) == (line["event_type"], line["content"])
