"""Whether this process traces. When it does not, nothing of OpenTelemetry is imported."""

from typing import TYPE_CHECKING

from bridge.errors import TracingMissingError
from bridge.settings import TracingSettings

if TYPE_CHECKING:
    from bridge.tracing.event_spans import EventSpans


def set_up_tracing(settings: TracingSettings, role: str) -> None:
    """Send the spans of this process away, if that is wanted.

    Args:
        settings: Whether it is.
        role: The process is called ``jetrun-{role}`` in traces.

    Raises:
        TracingMissingError: It is wanted, and the extra ``otel`` is not installed.
    """
    if settings.enabled:
        try:
            from bridge.tracing.exporting import export_spans  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise TracingMissingError from error
        export_spans(f"jetrun-{role}")


def find_spans(settings: TracingSettings) -> "EventSpans | None":
    """Return what traces events; ``None`` when nobody wants that.

    Raises:
        TracingMissingError: It is wanted, and the extra ``otel`` is not installed.
    """
    if not settings.enabled:
        return None
    try:
        from bridge.tracing.event_spans import EventSpans  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise TracingMissingError from error
    return EventSpans()
