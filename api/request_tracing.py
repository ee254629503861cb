"""A request as part of its sender's trace; imported only where tracing is on."""

from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind

from api.auth.permissions import route_of


@web.middleware
async def trace_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Trace a request to its end; what is published for it belongs to the same trace."""
    tracer = trace.get_tracer("jetrun")
    with tracer.start_as_current_span(
        route_of(request),
        extract(request.headers),
        SpanKind.SERVER,
        {"http.request.method": request.method},
    ) as span:
        response = await handler(request)
        span.set_attribute("http.response.status_code", response.status)
        return response
