"""The spans of an event's way; imported only where tracing is on.

The context travels in the event's header ``traceparent`` (W3C Trace Context), so it is stored
with the event, and whoever is handed it adds to the same trace.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge import wire
from bridge.events import NewEvent, StreamEvent
from bridge.ids import EventId
from bridge.subjects import RunRef

_PROPAGATOR: Final = TraceContextTextMapPropagator()


class EventSpans:
    """Begins and ends spans with whatever the process's tracer provider is."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("jetrun")

    @contextmanager
    def publishing(self, run: RunRef, events: Sequence[NewEvent]) -> Iterator[list[NewEvent]]:
        """Trace a publish, as part of what this task is about.

        Yields:
            The events, which carry the trace.
        """
        facts: dict[str, str | int] = {
            "jetrun.thread_id": run.thread_id,
            "jetrun.run_id": run.run_id,
            "jetrun.event": events[0].event,
            "jetrun.events": len(events),
        }
        with self._tracer.start_as_current_span(
            "publish", kind=SpanKind.PRODUCER, attributes=facts
        ):
            carrier: dict[str, str] = {}
            _PROPAGATOR.inject(carrier)
            parent = carrier.get(wire.TRACE_PARENT, "")
            yield [event._replace(trace=parent) for event in events]

    def appended(self, events: Sequence[NewEvent], first: EventId, took_s: float) -> None:
        """Trace that the log has stored events, which were sent so long ago."""
        ended = time.time_ns()
        for offset, event in enumerate(events):
            if event.trace:
                event_id = EventId(first.stream_seq + offset, first.run_seq + offset)
                facts: dict[str, str | int] = {
                    "jetrun.event_id": str(event_id),
                    "jetrun.stored_together": len(events),
                }
                self._tracer.start_span(
                    "log",
                    _context(event.trace),
                    SpanKind.CLIENT,
                    facts,
                    start_time=ended - int(took_s * 1e9),
                ).end(ended)

    def delivering(self, parent: str, event: StreamEvent, readers: int) -> Span:
        """Trace that a live event is handed to readers; the caller ends the span."""
        facts: dict[str, str | int] = {**_facts(event), "jetrun.readers": readers}
        return self._tracer.start_span("deliver", _context(parent), SpanKind.CONSUMER, facts)

    def consuming(self, parent: str, event: StreamEvent, consumer: str) -> Span:
        """Trace that a durable consumer has an event; the caller ends the span."""
        facts = {**_facts(event), "jetrun.consumer": consumer}
        name = f"consume {consumer}"
        return self._tracer.start_span(name, _context(parent), SpanKind.CONSUMER, facts)


def _context(parent: str) -> Context:
    return _PROPAGATOR.extract({wire.TRACE_PARENT: parent})


def _facts(event: StreamEvent) -> dict[str, str]:
    return {
        "jetrun.thread_id": event.thread_id,
        "jetrun.run_id": event.run_id,
        "jetrun.event": event.event,
        "jetrun.event_id": event.id,
    }
