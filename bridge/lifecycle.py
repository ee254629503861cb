"""The events that the bridge itself appends: a run's birth, its attempts, its end.

Their names are reserved, so an ordinary publish can never make one.
"""

from typing import Any, Final

from bridge.events import BIRTH, DELETED, NewEvent, Terminal, timestamp
from bridge.json_bytes import encode_json
from bridge.subjects import RunRef

LIFECYCLE: Final = "lifecycle"
FIRST_ATTEMPT: Final = 1


def attempt_event(run: RunRef, attempt: int = FIRST_ATTEMPT) -> NewEvent:
    """Make the event ``metadata``; the one of the first attempt is the run's birth.

    Raises:
        ValueError: ``attempt`` is less than 1.
    """
    if attempt < FIRST_ATTEMPT:
        msg = f"attempts are counted from {FIRST_ATTEMPT}, got {attempt}"
        raise ValueError(msg)
    facts = {"run_id": run.run_id, "thread_id": run.thread_id, "attempt": attempt}
    return NewEvent(BIRTH, encode_json(facts), LIFECYCLE, created_at=timestamp())


def terminal_event(kind: Terminal | str, data: Any) -> NewEvent:
    """Make the event that ends a run.

    Raises:
        ValueError: ``kind`` is no terminal.
        InvalidContentError: ``data`` is not JSON.
    """
    name = Terminal(kind).value
    return NewEvent(name, encode_json(data), LIFECYCLE, created_at=timestamp())


def deleted_event() -> NewEvent:
    """Make the marker that takes the place of a deleted run's events."""
    return NewEvent(DELETED, encode_json(None), LIFECYCLE, created_at=timestamp())
