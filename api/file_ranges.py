"""Serve a growing file of lines, or a range of its bytes, as it is at this moment.

Only whole lines are served. What was written never changes, so a client that was cut off asks for
the rest by a range, and sees nothing twice. A file that has been compressed since is served as it
was, and its ranges are the same.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from aiohttp import web

from store.file_bytes import FileBytes
from store.lines import whole_lines

LINES: Final = "application/x-ndjson"
_CHUNK_BYTES: Final = 256 * 1024


async def serve_lines(request: web.Request, source: FileBytes, name: str) -> web.StreamResponse:
    """Answer with the file's whole lines; 206 with a range of them when one is asked for.

    Args:
        request: What was asked.
        source: The file; the caller closes it.
        name: How a client shall call it.

    Raises:
        web.HTTPRequestRangeNotSatisfiable: The range lies outside of what there is.
    """
    size = await asyncio.to_thread(whole_lines, source)
    start, stop = _range(request, size)
    is_part = request.headers.get("Range") is not None
    response = web.StreamResponse(
        status=HTTPStatus.PARTIAL_CONTENT if is_part else HTTPStatus.OK,
        headers={
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-store",
            "Content-Type": LINES,
            "Content-Disposition": f'attachment; filename="{name}"',
            **({"Content-Range": f"bytes {start}-{stop - 1}/{size}"} if is_part else {}),
        },
    )
    response.content_length = stop - start
    await response.prepare(request)
    if request.method != "HEAD":
        await _copy(source, start, stop, response)
    return response


def _range(request: web.Request, size: int) -> tuple[int, int]:
    try:
        wanted = request.http_range
    except ValueError:
        raise _unsatisfiable(size) from None
    start, stop = wanted.start or 0, wanted.stop
    if start < 0:  # the last so many bytes
        start = max(0, size + start)
    stop = size if stop is None else min(stop, size)
    if request.headers.get("Range") is not None and start >= stop:
        raise _unsatisfiable(size)
    return start, stop


def _unsatisfiable(size: int) -> web.HTTPRequestRangeNotSatisfiable:
    return web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})


async def _copy(source: FileBytes, start: int, stop: int, response: web.StreamResponse) -> None:
    while start < stop:
        chunk = await asyncio.to_thread(source.read, start, min(_CHUNK_BYTES, stop - start))
        if not chunk:
            msg = f"the file ends {stop - start} bytes early: its run was deleted meanwhile"
            raise ConnectionError(msg)
        await response.write(chunk)
        start += len(chunk)
