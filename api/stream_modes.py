"""Which events of a run a reader wants to see.

The names are the platform's stream modes. An event belongs to the mode that is its name up to a
``|`` (a subgraph's namespace) or ``/``; names of a function's own belong to ``custom``. The run's
control events (``metadata``, ``gap``, ``error``, ``end``) reach every reader.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
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
#: The category of a graph's question that no mode of its run would show.
INTERRUPTS: Final = "interrupts"
ALL: Final = "*"
MAX_MODES: Final = 64
_ALWAYS: Final = frozenset({"metadata"})


class ModeFilter:
    """Decides by an event's name whether a reader gets it.

    Args:
        modes: Modes, or event names; none at all, or ``*`` among them, admits everything.

    Attributes:
        admits_all: Whether it admits everything.
        joins_messages: Whether messages are wanted as the text so far, and not in pieces.
        names: What it goes by: two filters with the same names admit the same.
    """

    def __init__(self, modes: Iterable[str] = ()) -> None:
        names = set(modes)
        self.joins_messages = "messages" in names and not names & {"messages-tuple", ALL}
        if "messages-tuple" in names:
            names.add("messages")
        self.admits_all = not names or ALL in names
        self._admits_custom = "custom" in names
        self.names = _shared(frozenset({ALL} if self.admits_all else names | _ALWAYS))

    def like(self, asked: Iterable[str]) -> "ModeFilter":
        """Return this filter with messages in the form that the run's creator asked for."""
        shown = ModeFilter(asked)
        if self.admits_all:
            self.joins_messages = shown.joins_messages
        return self

    def admits(self, event: str, category: str = "stream") -> bool:
        """Whether an event is wanted; a question to the user always is."""
        if self.admits_all or event in self.names or category == INTERRUPTS:
            return True
        mode = event.partition("|")[0].partition("/")[0]
        return mode in self.names or (self._admits_custom and mode not in PLATFORM_EVENTS)


@lru_cache(maxsize=128)
def _shared(names: frozenset[str]) -> frozenset[str]:
    """Return the first of all that are equal: readers who want the same find it at a glance."""
    return names


def parse_modes(values: Sequence[str]) -> ModeFilter:
    """Read the query values of ``stream_mode``; see :func:`parse_mode_names`."""
    return ModeFilter(parse_mode_names(values))


def parse_mode_names(values: Sequence[str]) -> list[str]:
    """Read the query values of ``stream_mode``, in any of the forms that clients send.

    Args:
        values: Each a mode, a comma list, a JSON array, or empty; all of them count.

    Raises:
        InvalidRequestError: One starts like a JSON array and is none, or there are too many.
    """
    names = split_list("stream_mode", values)
    if len(names) > MAX_MODES:
        raise InvalidRequestError(f"stream_mode: more than {MAX_MODES} modes")
    return names


def split_list(name: str, values: Sequence[str]) -> list[str]:
    """Read the query values of a list, in any of the forms that clients send.

    Raises:
        InvalidRequestError: One starts like a JSON array and is none.
    """
    items: list[str] = []
    for value in values:
        is_array = value.lstrip().startswith("[")
        items.extend(_parse_array(name, value) if is_array else value.split(","))
    return [item.strip() for item in items if item.strip()]


def _parse_array(name: str, value: str) -> list[str]:
    try:
        items = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"{name}: not a JSON array") from error
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InvalidRequestError(f"{name}: not an array of strings")
    return items
