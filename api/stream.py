"""Stream a run's events to one client, from any cursor to the end of the run.

Frames are forwarded as bytes that all readers share; nothing is parsed on the way. A stream ends
between two events, whatever ends it, so that its client goes on elsewhere with the last id it has.
"""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from api import sse
from api.auth.errors import CredentialEndedError
from api.errors import GatewayClosingError, GatewayError, TooManyStreamsError
from api.heartbeats import heartbeats
from api.http_settings import HttpSettings
from api.identity import caller_of
from api.limits.errors import TooManyUserStreamsError
from api.limits.refusals import REFUSALS
from api.live_writes import Chunks, live_push
from api.locations import stream_headers
from api.open_streams import OpenStreams
from api.partial_messages import PartialMessages, begun_messages
from api.selection import Selection
from api.settling import Settling
from api.stream_modes import ModeFilter
from bridge import (
    CANCELLED,
    END,
    Batch,
    BridgeClosedError,
    BridgeError,
    ColdTierError,
    Following,
    RunRef,
    StreamEvent,
    UnavailableError,
)
from runs import RunsFacade, find_shown

MAX_CURSOR_LENGTH: Final = 64

#: What ends one connection but not the run: the client comes again, here or elsewhere.
BREAKS: Final = (
    CredentialEndedError,
    GatewayClosingError,
    TooManyStreamsError,
    TooManyUserStreamsError,
    UnavailableError,
    BridgeClosedError,
    ColdTierError,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one client asked to see.

    Attributes:
        thread_id: The thread.
        run_id: The run in it.
        user_id: Who asks.
        modes: Which events.
        last_event_id: The last event that the client has handled.
    """

    thread_id: str
    run_id: str
    user_id: str | None
    modes: ModeFilter
    last_event_id: str | None = None


def cursor_of(request: web.Request) -> str | None:
    """Read the last event id of a request: from its header, or else from its query.

    A hostile one stays malformed, but becomes short and printable.
    """
    cursor = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
    if cursor is None:
        return None
    shown = cursor.strip()[: MAX_CURSOR_LENGTH + 1].encode("ascii", "replace").decode()
    return shown if len(shown) <= MAX_CURSOR_LENGTH else f"{shown[: MAX_CURSOR_LENGTH - 3]}..."


async def decline(
    request: web.Request,
    error: GatewayError | BridgeError,
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Answer with a stream that only says why it ends at once; the client comes again."""
    request.app[REFUSALS].note(error.code)
    response = web.StreamResponse(headers={**sse.HEADERS, **(headers or {})})
    await response.prepare(request)
    await response.write(sse.comment_block(str(error)))
    return response


class RunStreams:
    """Answers requests with event streams."""

    def __init__(
        self,
        facade: RunsFacade,
        open_streams: OpenStreams,
        settling: Settling,
        settings: HttpSettings,
    ) -> None:
        self._facade = facade
        self._open_streams = open_streams
        self._settling = settling
        self._settings = settings
        self._chunks = Chunks()

    async def serve(self, request: web.Request, reading: Reading) -> web.StreamResponse:
        """Answer with the run's events until its end, or until the connection has to end.

        What keeps this gateway from streaming is told in-band, by a comment and a clean close: a
        browser's EventSource would give up on any other status.

        Raises:
            RunNotFoundError: There is no such run; nothing was sent.
            ConnectionError: The client left.
        """
        headers = stream_headers(reading.thread_id, reading.run_id)
        response = web.StreamResponse(headers={**sse.HEADERS, **headers})
        try:
            async with (
                self._open_streams.admit(caller_of(request)),
                self._facade.join_stream(
                    reading.thread_id,
                    reading.run_id,
                    last_event_id=reading.last_event_id,
                    user_id=reading.user_id,
                ) as following,
            ):
                partials = await self._begun_messages(reading, following)
                await response.prepare(request)
                await self._forward_with_heartbeats(request, response, reading, following, partials)
        except BREAKS as error:
            if not response.prepared:
                return await decline(request, error, headers)
        return response

    async def _begun_messages(
        self, reading: Reading, following: Following
    ) -> PartialMessages | None:
        """Read the pieces of messages that the client has seen, where it wants whole ones."""
        if not reading.modes.joins_messages:
            return None
        run = RunRef(reading.thread_id, reading.run_id)
        return await begun_messages(self._facade, run, following.resume.position.run_seq)

    async def _forward_with_heartbeats(
        self,
        request: web.Request,
        response: web.StreamResponse,
        reading: Reading,
        following: Following,
        partials: PartialMessages | None,
    ) -> None:
        settings = self._settings
        async with heartbeats(
            request,
            response,
            sse.HEARTBEAT,
            every_s=settings.heartbeat_s,
        ):
            push = live_push(request, response, reading.modes, self._chunks)
            if push is not None and partials is None:
                following.tap(push)
            end = await self._forward(response, reading, following, partials)
        if end:
            await response.write_eof(end)

    async def _forward(
        self,
        response: web.StreamResponse,
        reading: Reading,
        following: Following,
        partials: PartialMessages | None,
    ) -> bytes:
        """Write the run's events; return its last blocks, or nothing when the bridge closes."""
        terminal: StreamEvent | None = None
        selection = Selection(reading.modes, partials, str(following.resume.position))
        async with aclosing(following.batches()) as batches:
            async for batch in batches:
                frames, ending = selection.of(batch)
                terminal = ending or terminal
                for chunk in sse.coalesce(frames):
                    await response.write(chunk)
                if batch[-1] is END:
                    await self._settling.wait(reading.thread_id, reading.run_id)
                    if terminal is None:
                        # The client has the terminal event already, and asks after it.
                        return sse.end_block(str(following.resume.position))
                    return sse.terminal_blocks(terminal)
                if asked := await self._find_question(reading, batch):
                    return sse.end_block(asked)
                if batch[-1] is CANCELLED:
                    break
        return b""

    async def _find_question(self, reading: Reading, batch: Batch) -> str | None:
        """Return the id of the batch's last event if it is a question that the run waits for."""
        last, shown = batch[-1], find_shown(batch)
        if shown is None or not isinstance(last, StreamEvent):
            return None
        question = await self._facade.find_question(
            reading.thread_id, reading.run_id, user_id=reading.user_id
        )
        return last.id if question is not None and question.input_id == shown else None
