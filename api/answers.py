"""Answers that are complete at once: JSON documents and empty ones."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from bridge import encode_json


def json_answer(
    content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with a JSON document."""
    return web.Response(
        status=status, body=encode_json(content), content_type="application/json", headers=headers
    )


def ready_answer(document: bytes) -> web.Response:
    """Answer with a JSON document that is encoded already."""
    return web.Response(body=document, content_type="application/json")


#: What :func:`page_headers` says.
PAGE_HEADERS: Final = MappingProxyType(
    {
        "X-Pagination-Total": "How many there are in all.",
        "X-Pagination-Next": "The offset of the next page; absent on the last one.",
    }
)


def page_headers(total: int, end: int) -> dict[str, str]:
    """Name how many there are in all, and where the next page begins, if there is one.

    Args:
        total: How many there are.
        end: The offset behind this page.
    """
    headers = {"X-Pagination-Total": str(total)}
    if end < total:
        headers["X-Pagination-Next"] = str(end)
    return headers


def done() -> web.Response:
    """Answer that it is done; without a body."""
    return web.Response(status=204)


def accepted() -> web.Response:
    """Answer that the wish is stored and will be carried out; without a body."""
    return web.Response(status=202)
