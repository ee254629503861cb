"""``GET /threads/{thread_id}/stream``: the events of all runs of a thread, in the log's order."""

from contextlib import suppress
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from api import sse
from api.answer_schemas import ServerSentEvent
from api.identity import user_of
from api.locations import RESUMED_HEADERS
from api.operations import EVENT_STREAM, Answer, operation
from api.parameters import LAST_EVENT_ID, LAST_EVENT_ID_QUERY, STREAM_MODE, SUBSCRIPTION
from api.partial_messages import PartialMessages, begun_messages
from api.selection import Selection
from api.settling import Settling
from api.stream import BREAKS, cursor_of, decline
from api.subscribed_stream import Subscribed, SubscribedStreams, subscription_of
from api.thread_modes import RunFilters, ThreadModes, parse_thread_modes
from api.thread_places import Places
from api.thread_streams import Opened, ThreadStreams, cut
from api.threads import thread_of
from bridge import ConsumerDriftError, JetStreamBridge, RunRef, StreamEvent, StreamGap
from bridge.subscription import NOTHING, Handled
from bridge.thread_follower import ThreadFollower
from runs import RunNotFoundError, RunsFacade, UnsupportedOptionError

_RESUMED: Final = MappingProxyType({"Location": RESUMED_HEADERS["Location"]})


class ThreadEventRoutes:
    """Streams threads, to clients with a cursor and to those that are known by a name."""

    def __init__(
        self,
        bridge: JetStreamBridge,
        facade: RunsFacade,
        streams: ThreadStreams,
        subscribed: SubscribedStreams,
        settling: Settling,
    ) -> None:
        self._facade = facade
        self._streams = streams
        self._subscribed = subscribed
        self._settling = settling
        self._places = Places(bridge, facade)

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of it; a HEAD must not hold a stream open."""
        return [web.get("/threads/{thread_id}/stream", self.stream, allow_head=False)]

    @operation(
        Answer(ServerSentEvent, media_type=EVENT_STREAM, headers=_RESUMED),
        raises=(ConsumerDriftError, UnsupportedOptionError),
        parameters=(STREAM_MODE, LAST_EVENT_ID, LAST_EVENT_ID_QUERY, SUBSCRIPTION),
    )
    async def stream(self, request: web.Request) -> web.StreamResponse:
        """``GET /threads/{thread_id}/stream``: follow all runs of a thread, for ever."""
        thread_id, user_id = thread_of(request), user_of(request)
        modes = parse_thread_modes(request.query.getall("stream_mode", []))
        name = subscription_of(request)
        if name is not None:
            wanted = Subscribed(name, thread_id, None, user_id, modes)
            return await self._subscribed.serve(request, wanted)
        cursor = cursor_of(request)

        async def begin(following: ThreadFollower) -> Opened:
            return await self._begin(following, thread_id, cursor, modes)

        try:
            return await self._streams.serve(request, thread_id, user_id, begin)
        except BREAKS as error:
            await decline(request, error, _headers(thread_id, modes, cursor))
            cut(request)
            raise ConnectionResetError(str(error)) from error

    async def _begin(
        self, following: ThreadFollower, thread_id: str, cursor: str | None, modes: ThreadModes
    ) -> Opened:
        place = await self._places.find(following, thread_id, cursor)
        telling = _Telling(self._facade, self._settling, modes)
        handled = NOTHING
        if place.last is not None:
            handled = Handled(place.last.event_id, place.last.run_id)
            await telling.go_on(place.last)
        first = () if place.gap is None else (sse.gap_block(place.gap),)
        return Opened(
            place.after, telling, handled, _headers(thread_id, modes, place.cursor), first
        )


def _headers(thread_id: str, modes: ThreadModes, cursor: str | None) -> dict[str, str]:
    """Say where the stream goes on after a cut, even before the client has had any event."""
    query = [("stream_mode", name) for name in modes.names]
    if cursor:
        query.append(("last_event_id", cursor))
    path = f"/threads/{thread_id}/stream"
    return {"Location": f"{path}?{urlencode(query)}" if query else path}


class _Telling:
    """Says the events of one thread to one client, of each run what is wanted of it."""

    def __init__(self, facade: RunsFacade, settling: Settling, modes: ThreadModes) -> None:
        self._facade = facade
        self._settling = settling
        self._filters = RunFilters(facade, modes)
        #: Of the runs under way; what has ended is forgotten.
        self._runs: dict[str, Selection] = {}
        self._last_id = ""

    async def go_on(self, last: StreamEvent) -> None:
        """Begin behind an event that the client has had."""
        self._last_id = last.id
        if not last.is_terminal:
            self._runs[last.run_id] = await self._begun(last, last.run_seq)

    async def _begun(self, event: StreamEvent, known_seq: int) -> Selection:
        """Go on with a run whose events up to a number the client has had, others' in between."""
        modes = await self._filters.of(event)
        partials = PartialMessages() if modes.joins_messages else None
        if partials is not None:
            run = RunRef(event.thread_id, event.run_id)
            with suppress(RunNotFoundError):  # deleted in this moment: nothing more comes of it
                partials = await begun_messages(self._facade, run, known_seq)
        return Selection(modes, partials, self._last_id or event.id)

    async def frames(self, item: StreamEvent | StreamGap) -> list[bytes]:
        """Return the blocks of what comes next."""
        if isinstance(item, StreamGap):
            return [sse.gap_block(item)]
        if item.is_terminal:
            self.forget(item.run_id)
            await self._settling.wait(item.thread_id, item.run_id)
            return [sse.run_done_block(item)]
        selection = self._runs.get(item.run_id)
        if selection is None:
            selection = self._runs[item.run_id] = await self._begun(item, item.run_seq - 1)
        self._last_id = item.id
        frames, _ = selection.of([item])
        return list(frames)

    def forget(self, run_id: str) -> None:
        """Give up what is kept of a run, of which nothing more comes."""
        self._runs.pop(run_id, None)
        self._filters.forget(run_id)
