"""Reads the bodies of requests: within a size, a time, and the memory that all may take together.

A compressed body is unpacked piece by piece, and counts by what it becomes; so a small one that
would become a large one is refused like a large one.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from api.limits.errors import (
    JsonTooDeepError,
    RequestTimeoutError,
    TooManyBodiesError,
    UnsupportedEncodingError,
)
from api.limits.json_depth import is_deeper
from api.limits.settings import LimitSettings

#: What aiohttp unpacks whatever else is installed.
_ENCODINGS: Final = frozenset({"", "deflate", "gzip", "identity"})


class Bodies:
    """The bodies that one gateway reads.

    Args:
        settings: What they may be.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._settings = settings
        self._pending_bytes = 0

    async def read(self, request: web.Request) -> bytes:
        """Return the request's body.

        Raises:
            UnsupportedEncodingError: It is compressed in another way than gzip or deflate.
            web.HTTPRequestEntityTooLarge: It exceeds ``max_body_bytes``.
            TooManyBodiesError: With all others that are arriving it takes too much.
            RequestTimeoutError: It did not arrive in time.
            web.RequestPayloadError: It is not what its encoding says.
        """
        if request.headers.get("Content-Encoding", "").strip().lower() not in _ENCODINGS:
            raise UnsupportedEncodingError
        body = bytearray()
        limit_s = self._settings.body_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                async for chunk in _chunks(request):
                    self._take(len(chunk))
                    body += chunk
        except TimeoutError:
            raise RequestTimeoutError("body", limit_s) from None
        finally:
            self._pending_bytes -= len(body)
        return bytes(body)

    def check_depth(self, body: bytes, content: object) -> None:
        """Refuse JSON that is nested too deep.

        Args:
            body: The text.
            content: What it says.

        Raises:
            JsonTooDeepError: It is.
        """
        limit = self._settings.max_json_depth
        # Most bodies have fewer brackets than that, however they stand.
        if body.count(b"[") + body.count(b"{") > limit and is_deeper(content, limit):
            raise JsonTooDeepError(limit)

    def _take(self, size: int) -> None:
        limit = self._settings.max_pending_body_bytes
        if self._pending_bytes + size > limit:
            raise TooManyBodiesError(limit)
        self._pending_bytes += size


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes, up to the limit of one request.

    Raises:
        web.HTTPRequestEntityTooLarge: It goes on behind the limit.
    """
    limit = request.client_max_size
    if (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit)
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise web.HTTPRequestEntityTooLarge(limit)
        yield chunk


#: What reads the bodies of an application's requests.
BODIES: Final = web.AppKey("bodies", Bodies)
