"""One client's connection: what aiohttp makes of it, within limits, and refusals as problems.

Before a request has a handler nobody else can refuse it: a connection too many, a head that is too
large, that comes too slowly or that is none. After its handler nobody else notices that the client
does not take the answer.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import web
from aiohttp.http_exceptions import (
    BadHttpMessage,
    ContentEncodingError,
    HttpProcessingError,
    LineTooLong,
)

from api.errors import GatewayError
from api.limits.connection_room import ConnectionRoom
from api.limits.errors import (
    HeadersTooLargeError,
    MalformedRequestError,
    RequestTimeoutError,
    TooManyAddressConnectionsError,
    TooManyConnectionsError,
    UnsupportedEncodingError,
    UrlTooLongError,
)
from api.limits.refusals import STALLED_READER, Refusals
from api.limits.settings import LimitSettings
from api.limits.stall_watch import StallWatch
from api.problems import as_bytes, problem_of, problem_of_http, unexpected

_LOG = logging.getLogger(__name__)

#: What aiohttp 3.14 says of more headers than it was told to take.
_TOO_MANY_HEADERS: Final = "Too many headers received"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What the connections of one gateway share.

    Attributes:
        settings: The limits.
        stall_s: Seconds after which a client that takes too little is cut off.
        room: Counts the connections.
        refusals: Counts what is refused.
    """

    settings: LimitSettings
    stall_s: float
    room: ConnectionRoom
    refusals: Refusals


#: Of an application that is served over :class:`Connection`.
CONNECTION_LIMITS: Final = web.AppKey("connection_limits", ConnectionLimits)


class Connection(web.RequestHandler):
    """One connection.

    Args:
        server: The application's.
        limits: Of all connections.
    """

    __slots__ = ("_client", "_head_timer", "_is_answering", "_limits", "_stalls")

    def __init__(self, server: web.Server, limits: ConnectionLimits) -> None:
        settings = limits.settings
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # what aiohttp's own runner gives for none
            keepalive_timeout=settings.idle_connection_s,
            max_line_size=settings.max_url_bytes,
            max_field_size=settings.max_header_bytes,
            max_headers=settings.max_headers,
        )
        self._limits = limits
        self._client: str | None = None
        self._is_answering = False
        self._head_timer: asyncio.TimerHandle | None = None
        #: Of a connection that was taken.
        self._stalls: StallWatch | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or say why not and close it."""
        wire = cast("asyncio.Transport", transport)
        peer = wire.get_extra_info("peername")
        try:
            self._client = self._limits.room.enter(peer[0] if peer else None)
        except (TooManyConnectionsError, TooManyAddressConnectionsError) as error:
            # Closed without reading: what is refused must not occupy anything.
            self._limits.refusals.note(error.code)
            wire.write(as_bytes(problem_of(error)))
            wire.close()
            return

        self._stalls = self._watch(wire)
        super().connection_made(transport)

    def _watch(self, wire: asyncio.Transport) -> StallWatch:
        limits = self._limits

        def abort() -> None:
            limits.refusals.note(STALLED_READER)
            wire.abort()

        least_bytes = limits.stall_s * limits.settings.min_read_bytes_per_s
        return StallWatch(wire, limit_s=limits.stall_s, least_bytes=least_bytes, on_stall=abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another one."""
        if self._stalls is None:
            return
        self._stalls.stop()
        self._stop_head_timer()
        self._limits.room.leave(self._client)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first ones of a request start the time that its head has."""
        if self._stalls is None:
            return
        if data and not self._is_answering and self._head_timer is None:
            limit_s = self._limits.settings.head_timeout_s
            self._head_timer = self._loop.call_later(limit_s, self._give_up_on_head)
        super().data_received(data)

    def begin_answer(self, request: web.BaseRequest) -> None:
        """Note that a request's head is complete and its handler about to run."""
        self._stop_head_timer()
        self._is_answering = True
        if self._stalls is not None:
            self._stalls.follow(request.writer)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer; what aiohttp refused by itself becomes a problem document."""
        try:
            if isinstance(resp, web.HTTPException):
                resp = problem_of_http(request, resp)
            return await super().finish_response(request, resp, start_time)
        finally:
            self._is_answering = False

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it may hold what the client sent
    ) -> web.StreamResponse:
        """Answer a request that no handler could; the connection is closed.

        Raises:
            ConnectionError: The answer has begun; it is cut off.
        """
        if request.writer.output_size > 0:
            if not isinstance(exc, ConnectionError):
                _LOG.error("answer.broke_off", exc_info=exc)
            raise ConnectionError("the answer failed half-way")
        if isinstance(exc, HttpProcessingError):
            error = self._error_of(exc)
            self._limits.refusals.note(error.code)
            answer = problem_of(error)
        else:
            answer = unexpected(exc or TimeoutError(f"status {status}"))
        answer.force_close()
        return answer

    def _error_of(self, exc: HttpProcessingError) -> GatewayError:
        settings = self._limits.settings
        match exc:
            case LineTooLong() if exc.args[1] == settings.max_header_bytes:
                return HeadersTooLargeError(f"{settings.max_header_bytes} bytes each")
            case LineTooLong():
                return UrlTooLongError(settings.max_url_bytes)
            case BadHttpMessage() if exc.args == (_TOO_MANY_HEADERS,):
                return HeadersTooLargeError(f"{settings.max_headers} headers")
            case ContentEncodingError():
                return UnsupportedEncodingError()
            case _:
                return MalformedRequestError()

    def _give_up_on_head(self) -> None:
        error = RequestTimeoutError("head", self._limits.settings.head_timeout_s)
        self._limits.refusals.note(error.code)
        if self.transport is not None:
            self.transport.write(as_bytes(problem_of(error)))
        self.force_close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
