"""Stream what happens on a thread to one client, over any number of runs, until it leaves.

A client that was cut off comes back with the sequence of the last event that it has handled; what
it then gets again of that very event has the same ids.
"""

from datetime import datetime
from typing import Any

import orjson
from aiohttp import web

from api import sse
from api.heartbeats import heartbeats
from api.http_settings import HttpSettings
from api.identity import caller_of
from api.missing_events import MissingEvents
from api.open_streams import OpenStreams
from api.settling import Settling
from api.stream import BREAKS
from api.thread_protocol.beginning import Beginning, Beginnings
from api.thread_protocol.channels import EventsWanted
from api.thread_protocol.run_events import RunEvents, Told
from bridge import JetStreamBridge, StreamEvent, StreamGap
from bridge.events import DELETED, sse_frame
from bridge.thread_follower import ThreadFollower
from runs import RunsFacade, ThreadNotFoundError


class ThreadEventStreams:
    """Answers requests with streams of protocol events."""

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
        self._beginnings = Beginnings(bridge, facade)

    async def serve(
        self, request: web.Request, thread_id: str, user_id: str | None, wanted: EventsWanted
    ) -> web.StreamResponse:
        """Answer with the thread's events for as long as the client and the thread stay.

        Raises:
            ThreadNotFoundError: There is none, or it is someone else's; nothing was sent.
            BridgeError, GatewayError: It cannot be told now; nothing was sent.
            ConnectionError: The client left, or the stream cannot go on here: it comes again.
        """
        await self._facade.get_thread(thread_id, user_id=user_id)
        response = web.StreamResponse(headers=sse.HEADERS)
        try:
            async with (
                self._open_streams.admit(caller_of(request)),
                self._bridge.follow_thread(thread_id) as following,
            ):
                beginning = await self._beginnings.find(following, thread_id, wanted.since)
                await response.prepare(request)
                settings = self._settings
                async with heartbeats(
                    request,
                    response,
                    sse.HEARTBEAT,
                    every_s=settings.heartbeat_s,
                ):
                    await self._forward(response, wanted, following, beginning)
        except BREAKS as error:
            if not response.prepared:
                raise
            # The SDKs take a clean end for the end of everything: only a cut lets them come again.
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError(str(error)) from error
        return response

    async def _forward(
        self,
        response: web.StreamResponse,
        wanted: EventsWanted,
        following: ThreadFollower,
        beginning: Beginning,
    ) -> None:
        missing = MissingEvents(self._bridge, beginning.handled)
        telling = _Telling(self._facade, self._settling, wanted, beginning.shown_after)
        async for batch in following.batches(beginning.after):
            frames: list[bytes] = []
            for event in batch:
                if event.event == DELETED:
                    if await self._is_gone(event.thread_id):
                        return
                    continue
                async for item in missing.before(event):
                    frames += await telling.frames(item)
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


async def _write(response: web.StreamResponse, frames: list[bytes]) -> None:
    for chunk in sse.coalesce(frames):
        await response.write(chunk)


class _Telling:
    """Says the events of one thread to one client."""

    def __init__(
        self, facade: RunsFacade, settling: Settling, wanted: EventsWanted, shown_after: int
    ) -> None:
        self._facade = facade
        self._settling = settling
        self._wanted = wanted
        self._position = shown_after
        #: The runs under way; what has ended is forgotten.
        self._runs: dict[str, RunEvents] = {}

    async def frames(self, item: StreamEvent | StreamGap) -> list[bytes]:
        """Return the blocks of what one stored event says; none for what was shown before."""
        if isinstance(item, StreamGap):
            return [_gap_block(item)]
        run = self._runs.setdefault(item.run_id, RunEvents())
        told = run.of(item)
        if item.is_terminal:
            del self._runs[item.run_id]
        seq = item.event_id.stream_seq
        if seq <= self._position:
            return []
        if item.is_terminal:
            await self._settling.wait(item.thread_id, item.run_id)
        shown = [
            (number, each)
            for number, each in enumerate(told)
            if self._wanted.admits(each) and await self._is_due(item, each)
        ]
        before, self._position = self._position, seq
        # Only the last one moves the client's place: cut off in between, it gets all of them again.
        return [
            _block(item, number, each, seq if number == shown[-1][0] else before)
            for number, each in shown
        ]

    async def _is_due(self, event: StreamEvent, told: Told) -> bool:
        if told.asks is None:
            return True
        question = await self._facade.find_question(event.thread_id, event.run_id)
        return question is not None and question.input_id == told.asks


def _block(event: StreamEvent, number: int, told: Told, seq: int) -> bytes:
    stored_at = datetime.fromisoformat(event.created_at)
    params: dict[str, Any] = {
        "namespace": told.namespace,
        "timestamp": int(stored_at.timestamp() * 1000),
        "data": told.data,
    }
    envelope = {
        "type": "event",
        "event_id": f"{event.id}.{number}",
        "seq": seq,
        "method": told.method,
        "params": params,
    }
    return sse_frame(str(seq), told.method, orjson.dumps(envelope))


def _gap_block(gap: StreamGap) -> bytes:
    lost = "an unknown number of" if gap.missing is None else gap.missing
    message = f"{lost} events of the run {gap.run_id} are neither in the log nor in the archive"
    told = {"type": "error", "id": None, "error": "unknown_error", "message": message}
    return b"event: error\ndata: %b\n\n" % orjson.dumps(told)
