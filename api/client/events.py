"""What a follower of a run gets."""

import json
from dataclasses import dataclass
from typing import Any

from api.client.sse import SseMessage

GAP_EVENT = "gap"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a run.

    Attributes:
        id: The cursor: follow again with it, at any gateway, and what comes after it follows.
        event: Its name.
        data: What its publisher sent.
    """

    id: str
    event: str
    data: Any


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that are gone for good, in the place where they were.

    Attributes:
        missing: How many; ``None`` where nobody knows.
        reason: Why.
    """

    missing: int | None
    reason: str


def item_of(message: SseMessage) -> Event | Gap:
    """Return what a block of a run's stream says."""
    data = json.loads(message.data)
    if message.event == GAP_EVENT:
        return Gap(data["missing"], data["reason"])
    return Event(message.id, message.event, data)
