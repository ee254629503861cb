"""Stream events to one client that keeps no cursor: its position is kept under a name.

An event is acknowledged once its frame is written. A client that comes back with the name alone
gets what was not written to the connection before; that connection ends.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from aiohttp import web

from api import sse
from api.errors import InvalidRequestError
from api.heartbeats import heartbeats
from api.http_settings import HttpSettings
from api.identity import caller_of
from api.locations import stream_headers
from api.missing_events import MissingEvents
from api.open_streams import OpenStreams
from api.settling import Settling
from api.stream import BREAKS, decline
from api.thread_modes import RunFilters, ThreadModes
from bridge import (
    ConsumerLimitError,
    JetStreamBridge,
    RunRef,
    StreamEvent,
    StreamGap,
    Subscription,
    SubscriptionTakenError,
    check_id,
    encode_json,
)
from bridge.events import DELETED
from runs import RunsFacade

#: Before the name of every consumer that HTTP clients make: services and the sink have others.
PREFIX: Final = "http_"
#: With prefix and generation the name of a consumer stays one subject token.
MAX_NAME_LENGTH: Final = 48
MAX_EVENTS: Final = 500
_POLL_S: Final = 5.0
_BREAKS: Final = (*BREAKS, SubscriptionTakenError, ConsumerLimitError)


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What one client asked to see.

    Attributes:
        name: The subscription.
        thread_id: The thread.
        run_id: The run in it; None for all of them.
        user_id: Who asks.
        modes: Which events.
    """

    name: str
    thread_id: str
    run_id: str | None
    user_id: str | None
    modes: ThreadModes

    @property
    def consumer(self) -> str:
        """The name on the server; users cannot meet in it."""
        if self.user_id is None:
            return PREFIX + self.name
        owned = sha256(encode_json([self.user_id, self.name])).hexdigest()
        return PREFIX + owned[:MAX_NAME_LENGTH]


def subscription_of(request: web.Request) -> str | None:
    """Read the name of a subscription from a request; None when it has none.

    Raises:
        InvalidIdError: It is not one subject token.
        InvalidRequestError: It is too long.
    """
    if "subscription" not in request.query:
        return None
    name = check_id("subscription", request.query["subscription"])
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidRequestError(f"subscription: longer than {MAX_NAME_LENGTH} characters")
    return name


class SubscribedStreams:
    """Answers requests with event streams that are resumed by name."""

    def __init__(
        self,
        bridge: JetStreamBridge,
        facade: RunsFacade,
        open_streams: OpenStreams,
        settling: Settling,
        settings: HttpSettings,
    ) -> None:
        self._bridge = bridge
        self._facade = facade
        self._open_streams = open_streams
        self._settling = settling
        self._settings = settings

    async def serve(self, request: web.Request, wanted: Subscribed) -> web.StreamResponse:
        """Answer with what the name has not had yet; of a run until its end, else for ever.

        Raises:
            RunNotFoundError, ThreadNotFoundError: There is no such thing; nothing was made.
            ConsumerDriftError: The name stands for another run or thread.
            ConnectionError: The client left.
        """
        headers = {} if wanted.run_id is None else stream_headers(wanted.thread_id, wanted.run_id)
        response = web.StreamResponse(headers={**sse.HEADERS, **headers})
        try:
            await self._check_exists(wanted)
            async with (
                self._open_streams.admit(caller_of(request)),
                self._bridge.subscription(
                    wanted.consumer,
                    thread_id=wanted.thread_id,
                    run_id=wanted.run_id,
                    idle_s=self._settings.subscription_idle_s,
                ) as subscription,
            ):
                await self._forward(request, response, wanted, subscription)
        except _BREAKS as error:
            if not response.prepared:
                return await decline(request, error, headers)
            await response.write(sse.comment_block(str(error)))
        return response

    async def _check_exists(self, wanted: Subscribed) -> None:
        if wanted.run_id is None:
            await self._facade.get_thread(wanted.thread_id, user_id=wanted.user_id)
            return
        run = RunRef(wanted.thread_id, wanted.run_id)
        async with self._facade.join_stream(*run, user_id=wanted.user_id):
            return

    async def _forward(
        self,
        request: web.Request,
        response: web.StreamResponse,
        wanted: Subscribed,
        subscription: Subscription,
    ) -> None:
        end = await self._end_of_old(wanted, subscription)
        missing = MissingEvents(self._bridge, subscription.handled)
        filters = RunFilters(self._facade, wanted.modes)
        writing = _Writing(
            missing, self._settling, response, filters, is_of_run=wanted.run_id is not None
        )
        await response.prepare(request)
        if end is None:
            settings = self._settings
            async with heartbeats(
                request,
                response,
                sse.HEARTBEAT,
                every_s=settings.heartbeat_s,
            ):
                end = await writing.forward(subscription)
        await response.write_eof(end)
        await subscription.ack()

    async def _end_of_old(self, wanted: Subscribed, subscription: Subscription) -> bytes | None:
        """Return the last block when the name has had everything of a run that has ended."""
        if wanted.run_id is None:
            return None
        terminal = (await self._bridge.status(wanted.run_id)).terminal
        if terminal is None or terminal.event_id.stream_seq > subscription.acknowledged_seq:
            return None
        await self._settling.wait(wanted.thread_id, wanted.run_id)
        return sse.end_block(terminal.id)


class _Writing:
    """Writes the events of one subscription to one client."""

    def __init__(
        self,
        missing: MissingEvents,
        settling: Settling,
        response: web.StreamResponse,
        filters: RunFilters,
        *,
        is_of_run: bool,
    ) -> None:
        self._missing = missing
        self._settling = settling
        self._response = response
        self._filters = filters
        self._is_of_run = is_of_run

    async def forward(self, subscription: Subscription) -> bytes:
        """Write what comes; return the last blocks of a run, whose events are then all written."""
        while True:
            frames: list[bytes] = []
            for event in await subscription.fetch(MAX_EVENTS, wait_s=_POLL_S):
                async for item in self._missing.before(event):
                    frames += await self._frames(item)
                    if len(frames) >= MAX_EVENTS:
                        await self._write(frames)
                        frames = []
                self._missing.note(event)
                if not event.is_terminal:
                    frames += await self._frames(event)
                    continue
                self._filters.forget(event.run_id)
                if event.event == DELETED and not self._is_of_run:
                    continue  # its end was told when it ended
                await self._settling.wait(event.thread_id, event.run_id)
                if self._is_of_run:
                    await self._write(frames)
                    return sse.terminal_blocks(event)
                frames.append(sse.run_done_block(event))
            await self._write(frames)
            await subscription.ack()

    async def _frames(self, item: StreamEvent | StreamGap) -> list[bytes]:
        if isinstance(item, StreamGap):
            return [sse.gap_block(item)]
        modes = await self._filters.of(item)
        return [item.frame] if modes.admits(item.event, item.category) else []

    async def _write(self, frames: list[bytes]) -> None:
        for chunk in sse.coalesce(frames):
            await self._response.write(chunk)
