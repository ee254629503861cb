"""Which events of a run a reader wants to see.

The names are the platform's stream modes. An event belongs to the mode that is its name up to a
``|`` (a subgraph's namespace) or ``/``; names of a function's own belong to ``custom``. The run's
control events (``metadata``, ``gap``, ``error``, ``end``) reach every reader.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import orjson

from api.errors import InvalidRequestError

StreamMode = Literal[
    "values",
    "messages",
    "messages-tuple",
    "updates",
    "events",
    "tasks",
    "checkpoints",
    "debug",
    "custom",
    "*",
]

#: Event names that the platform's modes produce; any other name is an assistant's own.
PLATFORM_EVENTS: Final = frozenset(
    {"values", "messages", "updates", "events", "tasks", "checkpoints", "debug"}
)
ALL: Final = "*"
MAX_MODES: Final = 64
_ALWAYS: Final = frozenset({"metadata"})


class ModeFilter:
    """Decides by an event's name whether a reader gets it.

    Args:
        modes: Modes, or event names; none at all, or ``*`` among them, admits everything.

    Attributes:
        admits_all: Whether it admits everything.
        names: What it goes by: two filters with the same names admit the same.
    """

    def __init__(self, modes: Iterable[str] = ()) -> None:
        names = set(modes)
        if "messages-tuple" in names:
            names.add("messages")
        self.admits_all = not names or ALL in names
        self._admits_custom = "custom" in names
        self.names = frozenset({ALL} if self.admits_all else names | _ALWAYS)

    def admits(self, event: str) -> bool:
        """Whether an event of this name is wanted."""
        if self.admits_all or event in self.names:
            return True
        mode = event.partition("|")[0].partition("/")[0]
        return mode in self.names or (self._admits_custom and mode not in PLATFORM_EVENTS)


def parse_modes(values: Sequence[str]) -> ModeFilter:
    """Read the query values of ``stream_mode``, in any of the forms that clients send.

    Args:
        values: Each a mode, a comma list, a JSON array, or empty; all of them count.

    Raises:
        InvalidRequestError: One starts like a JSON array and is none, or there are too many.
    """
    modes: list[str] = []
    for value in values:
        modes.extend(_parse_array(value) if value.lstrip().startswith("[") else value.split(","))
    names = [mode.strip() for mode in modes if mode.strip()]
    if len(names) > MAX_MODES:
        raise InvalidRequestError(f"stream_mode: more than {MAX_MODES} modes")
    return ModeFilter(names)


def _parse_array(value: str) -> list[str]:
    try:
        modes = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError("stream_mode: not a JSON array") from error
    if not isinstance(modes, list) or not all(isinstance(mode, str) for mode in modes):
        raise InvalidRequestError("stream_mode: not an array of strings")
    return modes
