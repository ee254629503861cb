"""Sends the spans of a process away; imported only where tracing is on."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def export_spans(service: str) -> None:
    """Send spans to an OTLP collector in batches, from a thread; the rest at the process's end.

    Where it is, and which traces are kept, is said by the ``OTEL_*`` variables of the SDK.
    """
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
