"""What other programs meet on NATS, as an AsyncAPI document made from the code's own names."""

from api.asyncapi.document import asyncapi_document

__all__ = ["asyncapi_document"]
