"""What a store without a log does itself: a run's birth and end, and the place of each record.

The records are the ones that log and sink would have made of the same calls.
"""

from collections.abc import Sequence
from typing import Final

from bridge import EventId, NewEvent, RunRef, StreamEvent, StreamTerminatedError, timestamp
from bridge.events import DELETED, STATUS_OF_EVENT
from bridge.lifecycle import LIFECYCLE, attempt_event, terminal_event
from store.record import Record, encode_line, parse_line
from store.record_names import event_type

ENDED: Final = "end"


def place_events(
    run: RunRef, events: Sequence[NewEvent], *, last_seq: int, last_run_seq: int
) -> list[StreamEvent]:
    """Give events the places behind those that were used last; a run begins with its birth."""
    placed = events if last_run_seq else [attempt_event(run), *events]
    return [
        stream_event(run, event, EventId(last_seq + number, last_run_seq + number))
        for number, event in enumerate(placed, start=1)
    ]


def stream_event(run: RunRef, event: NewEvent, event_id: EventId) -> StreamEvent:
    """Return an event as it is stored at a place."""
    return StreamEvent(
        thread_id=run.thread_id,
        run_id=run.run_id,
        event_id=event_id,
        event=event.event,
        payload=event.payload,
        category=event.category,
        created_at=event.created_at,
        total_bytes=0,
        metadata_json=event.metadata,
    )


def end_event() -> NewEvent:
    """Make the event that ends a run."""
    return terminal_event(ENDED, None)


def refuse_ended(run: RunRef, last_event: str) -> None:
    """Raise StreamTerminatedError when a run's last event ends it."""
    if last_event in STATUS_OF_EVENT:
        raise StreamTerminatedError(run.run_id, last_event)


def record_of(event: StreamEvent) -> Record:
    """Return an event as the record that a reader of its file gets."""
    return shown(parse_line(encode_line(event)))


def shown(record: Record) -> Record:
    """Return a record of a file as its reader gets it: with the type that was put."""
    plain = event_type(record.event_type)
    return record if plain == record.event_type else record.model_copy(update={"event_type": plain})


def deletion_of(run: RunRef, place: EventId) -> StreamEvent:
    """Make the marker that stands in a run's file in the place of all that it held."""
    marker = NewEvent(DELETED, b"null", LIFECYCLE, created_at=timestamp())
    return stream_event(run, marker, place)
