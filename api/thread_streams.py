"""Show one client what happens on a thread, over any number of runs.

A stream ends in order only with its thread. When this gateway cannot go on with it, the connection
is cut: clients take an orderly end for the end of everything, and come again after a cut.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from api import sse
from api.heartbeats import heartbeats
from api.http_settings import HttpSettings
from api.identity import caller_of
from api.missing_events import MissingEvents
from api.open_streams import OpenStreams
from api.stream import BREAKS
from bridge import JetStreamBridge, StreamEvent, StreamGap
from bridge.events import DELETED
from bridge.subscription import NOTHING, Handled
from bridge.thread_follower import ThreadFollower
from runs import RunsFacade, ThreadNotFoundError

#: What is read of the archive in between may be long; no more blocks of it are kept waiting.
MAX_FRAMES: Final = 500


class Telling(Protocol):
    """Says the events of a thread to one client, in one of the forms that clients read."""

    async def frames(self, item: StreamEvent | StreamGap, /) -> list[bytes]:
        """Return the blocks of what comes next; of a terminal event once its run is settled."""
        ...

    def forget(self, run_id: str, /) -> None:
        """Give up what is kept of a run, of which nothing more comes."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A thread that is about to be shown to one client.

    Attributes:
        after: The stream sequence above which reading begins.
        telling: Says what is read.
        handled: The last event that the client has had, as far as it is known.
        headers: What the answer says beside that it is a stream.
        first: Blocks before those of the first event.
    """

    after: int
    telling: Telling
    handled: Handled = NOTHING
    headers: Mapping[str, str] = field(default_factory=dict)
    first: tuple[bytes, ...] = ()


class ThreadStreams:
    """Answers requests with what happens on a thread."""

    def __init__(
        self,
        bridge: JetStreamBridge,
        facade: RunsFacade,
        open_streams: OpenStreams,
        settings: HttpSettings,
    ) -> None:
        self._bridge = bridge
        self._facade = facade
        self._open_streams = open_streams
        self._settings = settings

    async def serve(
        self,
        request: web.Request,
        thread_id: str,
        user_id: str | None,
        begin: Callable[[ThreadFollower], Awaitable[Opened]],
    ) -> web.StreamResponse:
        """Answer for as long as the client and the thread stay.

        Args:
            request: The request that is answered.
            thread_id: The thread.
            user_id: Who asks.
            begin: Finds where the stream begins, once nothing that comes can be missed.

        Raises:
            ThreadNotFoundError: There is none, or it is someone else's; nothing was sent.
            BridgeError, GatewayError: It cannot be told now; nothing was sent.
            ConnectionError: The client left, or the stream cannot go on here: it comes again.
        """
        await self._facade.get_thread(thread_id, user_id=user_id)
        response = web.StreamResponse(headers=sse.HEADERS)
        settings = self._settings
        try:
            async with (
                self._open_streams.admit(caller_of(request)),
                self._bridge.follow_thread(thread_id) as following,
            ):
                opened = await begin(following)
                response.headers.update(opened.headers)
                await response.prepare(request)
                async with heartbeats(
                    request,
                    response,
                    sse.HEARTBEAT,
                    every_s=settings.heartbeat_s,
                ):
                    await self._forward(response, following, opened)
        except BREAKS as error:
            if not response.prepared:
                raise
            cut(request)
            raise ConnectionResetError(str(error)) from error
        return response

    async def _forward(
        self, response: web.StreamResponse, following: ThreadFollower, opened: Opened
    ) -> None:
        missing = MissingEvents(self._bridge, opened.handled)
        telling = opened.telling
        await _write(response, list(opened.first))
        async for batch in following.batches(opened.after):
            frames: list[bytes] = []
            for event in batch:
                if event.event == DELETED:
                    if await self._is_gone(event.thread_id):
                        return
                    missing.note(event)
                    telling.forget(event.run_id)
                    continue
                async for item in missing.before(event):
                    frames += await telling.frames(item)
                    if len(frames) >= MAX_FRAMES:
                        await _write(response, frames)
                        frames = []
                missing.note(event)
                if event.is_terminal:
                    # What came before it need not wait until the record is final.
                    await _write(response, frames)
                    frames = []
                frames += await telling.frames(event)
            await _write(response, frames)

    async def _is_gone(self, thread_id: str) -> bool:
        try:
            await self._facade.get_thread(thread_id)
        except ThreadNotFoundError:
            return True
        return False


def cut(request: web.Request) -> None:
    """Break a connection off, so that its client comes again."""
    if request.transport is not None:
        request.transport.abort()


async def _write(response: web.StreamResponse, frames: list[bytes]) -> None:
    for chunk in sse.coalesce(frames):
        await response.write(chunk)
