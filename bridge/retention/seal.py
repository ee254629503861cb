"""What stays of an ended run: its terminal event, and the final values that it names."""

from typing import Any

import orjson

from bridge.events import StreamEvent
from bridge.ids import EventId, parse_cursor


def first_kept(terminal: StreamEvent) -> EventId:
    """Return the place from which on an ended run's events stay."""
    outputs = parse_cursor(_outputs_of(terminal.payload))
    if isinstance(outputs, EventId) and outputs < terminal.event_id:
        return outputs
    return terminal.event_id


def _outputs_of(payload: bytes) -> str | None:
    try:
        data: Any = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    outputs = data.get("outputs") if isinstance(data, dict) else None
    return outputs if isinstance(outputs, str) else None
