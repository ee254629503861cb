"""Answer with the final values of a run, however long they take.

Headers go out at once and newlines keep the connection alive; JSON may begin with white space.
What goes wrong afterwards is told in the document, or, where asking again can help, by a cut in its
middle: SDKs answer a cut by a request to ``Location``.
"""

from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from api.errors import GatewayError
from api.heartbeats import heartbeats
from api.http_settings import HttpSettings
from api.identity import caller_of
from api.locations import join_headers
from api.open_streams import OpenStreams
from bridge import BridgeError, RunRef, encode_json
from runs import RunFailedError, RunsError

_HEADERS: Final = MappingProxyType(
    {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
)
_HEARTBEAT: Final = b"\n"


class RunWaits:
    """Answers requests with what a run results in."""

    def __init__(self, open_streams: OpenStreams, settings: HttpSettings) -> None:
        self._open_streams = open_streams
        self._settings = settings

    async def serve(
        self, request: web.Request, run: RunRef, wait: Callable[[], Awaitable[Any]]
    ) -> web.StreamResponse:
        """Answer with what ``wait`` returns, as JSON.

        Args:
            request: The request.
            run: The run that it is about; it exists.
            wait: Waits for the result.

        Raises:
            ConnectionError: The client left, or is to ask again.
        """
        headers = {**_HEADERS, **join_headers(run.thread_id, run.run_id)}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        settings = self._settings
        try:
            async with (
                self._open_streams.admit(caller_of(request)),
                heartbeats(
                    request,
                    response,
                    _HEARTBEAT,
                    every_s=settings.heartbeat_s,
                ),
            ):
                document = await _document(wait)
        except (GatewayError, BridgeError, RunsError) as error:
            raise ConnectionResetError(str(error)) from error
        await response.write_eof(document)
        return response


async def _document(wait: Callable[[], Awaitable[Any]]) -> bytes:
    try:
        return encode_json(await wait())
    except RunFailedError as error:
        return _fault(error.error, error.message)
    except (BridgeError, RunsError) as error:
        if error.retryable:
            raise
        return _fault(type(error).__name__, str(error))


def _fault(error: str, message: str) -> bytes:
    return encode_json({"__error__": {"error": error, "message": message}})
