"""Names of records that a publisher chose freely, kept apart from those that control a stream.

In the log an event named ``error`` ends its run. A record may be called so, too: it is stored as
``record:error``. The mapping is one to one, so every type that was put comes back as it was.
"""

from typing import Final

from bridge import RESERVED_EVENTS

_PREFIX: Final = "record:"


def event_name(event_type: str) -> str:
    """Return the name that a record's event has in log and file."""
    if event_type in RESERVED_EVENTS or event_type.startswith(_PREFIX):
        return _PREFIX + event_type
    return event_type


def event_type(name: str) -> str:
    """Return the record's type of an event in log or file."""
    return name.removeprefix(_PREFIX)
