"""The HTTP API as an OpenAPI document, made of what the handlers declare."""

from api.openapi.document import ServedRoute, openapi_document

__all__ = ["ServedRoute", "openapi_document"]
