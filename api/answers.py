"""Answers that are complete at once: JSON documents and empty ones."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bridge import encode_json


def json_answer(
    content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with a JSON document."""
    return web.Response(
        status=status, body=encode_json(content), content_type="application/json", headers=headers
    )


def accepted() -> web.Response:
    """Answer that the wish is stored and will be carried out; without a body."""
    return web.Response(status=202)
