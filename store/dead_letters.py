"""What could not be archived as it is, kept beside the archive with its cause.

At least once: after a crash an entry may be there twice, with the same ``seq``.
"""

import os
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson

from bridge import RunRef, StreamEvent
from bridge import timestamp as now
from store.file_bytes import PlainBytes
from store.jsonl import JsonlFile, sync_directory
from store.lines import lines_from

INVALID_PAYLOAD: Final = "invalid-payload"
RUN_SEQ_REUSED: Final = "run-seq-reused"
EVENTS_LOST: Final = "events-lost"


class DeadLetters:
    """The dead-letter file of one archive; it is created with its first entry.

    Args:
        path: The file; its directory must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: JsonlFile | None = None

    def add_event(self, event: StreamEvent, cause: str, reason: str) -> None:
        """Keep an event with all its bytes.

        Args:
            event: The event as the log holds it.
            cause: A stable code: one of the causes of this module, or an error's code.
            reason: What is wrong, for a person to read.
        """
        entry = {
            "cause": cause,
            "reason": reason,
            "noted_at": now(),
            "thread_id": _readable(event.thread_id),
            "run_id": _readable(event.run_id),
            "seq": event.event_id.stream_seq,
            "run_seq": event.event_id.run_seq,
            "created_at": _readable(event.created_at),
            "event_type": _readable(event.event),
            "category": _readable(event.category),
            "payload_base64": b64encode(event.payload).decode(),
            "metadata_base64": b64encode(event.metadata_json or b"").decode(),
        }
        self._append(entry)

    def add_gap(self, run: RunRef, *, after: int, before: int) -> None:
        """Note events that the log no longer held when they were asked for.

        Args:
            run: Their run.
            after: The run_seq of the last event before the gap; 0 at the start of the run.
            before: The run_seq of the first event after it.
        """
        entry = {
            "cause": EVENTS_LOST,
            "reason": f"the log no longer holds {before - after - 1} events of this run",
            "noted_at": now(),
            "thread_id": run.thread_id,
            "run_id": run.run_id,
            "after_run_seq": after,
            "before_run_seq": before,
        }
        self._append(entry)

    def erase(self, run: RunRef) -> None:
        """Remove all entries of a run, durably; reads the whole file, if there is one.

        Raises:
            OSError: The disk refused; the file is as it was, or without them.
        """
        self.close()
        try:
            with closing(PlainBytes.open(self._path)) as source:
                if not any(_is_of(line, run) for line in lines_from(source, 0)):
                    return
                draft = self._path.with_suffix(".draft")
                with draft.open("wb") as file:
                    file.writelines(line for line in lines_from(source, 0) if not _is_of(line, run))
                    file.flush()
                    os.fdatasync(file.fileno())
        except FileNotFoundError:
            return
        draft.replace(self._path)
        sync_directory(self._path.parent)

    def sync(self) -> None:
        """Make all entries durable."""
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        """Close the file; the next entry opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, entry: dict[str, Any]) -> None:
        if self._file is None:
            self._file = JsonlFile(self._path, root=self._path.parent)
        self._file.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))


def _readable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_of(line: bytes, run: RunRef) -> bool:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:  # nobody knows whose it is
        return False
    return (entry.get("thread_id"), entry.get("run_id")) == run
