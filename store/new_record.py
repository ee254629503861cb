"""A record on its way into a store: checked and encoded before anything is stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Required, TypedDict

from pydantic import BaseModel, ConfigDict

from bridge import NewEvent, new_event
from store.record_names import event_name


class RecordFacts(TypedDict, total=False):
    """What a record is made of, as keywords; see :class:`NewRecord`."""

    thread_id: Required[str]
    run_id: Required[str]
    event_type: Required[str]
    category: Required[str]
    content: Any
    metadata: Mapping[str, Any] | None
    created_at: str | None


class NewRecord(BaseModel):
    """A record that is not stored yet.

    Attributes:
        thread_id: The thread that owns the run.
        run_id: The run; it is created when it is absent.
        event_type: The record's type; any name, also one that would control a stream.
        category: What kind of record it is; ``message`` for what the thread's reader sees.
        content: Any JSON value.
        metadata: A JSON object beside it.
        created_at: When it came into being, RFC 3339; ``None`` means now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    thread_id: str
    run_id: str
    event_type: str
    category: str
    content: Any = ""
    metadata: Mapping[str, Any] | None = None
    created_at: str | None = None

    def encoded(self) -> NewEvent:
        """Return the record as an event.

        Raises:
            InvalidEventError: A name cannot be stored.
            InvalidContentError: Content or metadata is not JSON.
            ValueError: ``created_at`` is no RFC 3339 time with an offset.
        """
        event = new_event(
            event_name(self.event_type),
            self.content,
            category=self.category,
            metadata=self.metadata,
        )
        if self.created_at is None:
            return event
        if datetime.fromisoformat(self.created_at).tzinfo is None:
            msg = f"created_at has no offset: {self.created_at}"
            raise ValueError(msg)
        return event._replace(created_at=self.created_at)
