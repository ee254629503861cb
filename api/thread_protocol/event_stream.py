"""Stream what happens on a thread to one client, over any number of runs, until it leaves.

A client that was cut off comes back with the sequence of the last event that it has handled, and is
read that event's run from its birth. So its place moves with one run alone, the oldest under way:
what it gets again of the others, which queue, and of that very event has the same ids.
"""

from datetime import datetime
from typing import Any

import orjson
from aiohttp import web

from api.settling import Settling
from api.thread_protocol.beginning import Beginnings
from api.thread_protocol.channels import EventsWanted
from api.thread_protocol.run_events import RunEvents, Told
from api.thread_streams import Opened, ThreadStreams
from bridge import JetStreamBridge, StreamEvent, StreamGap
from bridge.events import sse_frame
from bridge.thread_follower import ThreadFollower
from runs import RunsFacade


class ThreadEventStreams:
    """Answers requests with streams of protocol events."""

    def __init__(
        self,
        bridge: JetStreamBridge,
        facade: RunsFacade,
        streams: ThreadStreams,
        settling: Settling,
    ) -> None:
        self._facade = facade
        self._streams = streams
        self._settling = settling
        self._beginnings = Beginnings(bridge, facade)

    async def serve(
        self, request: web.Request, thread_id: str, user_id: str | None, wanted: EventsWanted
    ) -> web.StreamResponse:
        """Answer with the thread's events; see :meth:`ThreadStreams.serve`."""

        async def begin(following: ThreadFollower) -> Opened:
            beginning = await self._beginnings.find(following, thread_id, wanted.since)
            telling = _Telling(self._facade, self._settling, wanted, beginning.shown_after)
            return Opened(beginning.after, telling, beginning.handled)

        return await self._streams.serve(request, thread_id, user_id, begin)


class _Telling:
    """Says the events of one thread to one client."""

    def __init__(
        self, facade: RunsFacade, settling: Settling, wanted: EventsWanted, shown_after: int
    ) -> None:
        self._facade = facade
        self._settling = settling
        self._wanted = wanted
        self._place = shown_after
        #: The runs that have told more than their birth, the oldest first, without ended ones.
        self._runs: dict[str, RunEvents] = {}

    async def frames(self, item: StreamEvent | StreamGap) -> list[bytes]:
        """Return the blocks of what one stored event says; none for what was shown before."""
        if isinstance(item, StreamGap):
            return [_gap_block(item)]
        if item.run_seq == 1:
            told = RunEvents().of(item)  # from which nothing follows for the next ones
        else:
            told = self._runs.setdefault(item.run_id, RunEvents()).of(item)
        oldest = next(iter(self._runs), item.run_id)
        if item.is_terminal:
            self.forget(item.run_id)
        seq = item.event_id.stream_seq
        if seq <= self._place:
            return []
        if item.is_terminal:
            await self._settling.wait(item.thread_id, item.run_id)
        shown = [
            (number, each)
            for number, each in enumerate(told)
            if self._wanted.admits(each) and await self._is_due(item, each)
        ]
        before = self._place
        if item.run_id == oldest:
            self._place = seq
        # Only the last one moves the client's place: cut off in between, it gets all of them again.
        return [
            _block(item, number, each, self._place if number == shown[-1][0] else before)
            for number, each in shown
        ]

    def forget(self, run_id: str) -> None:
        """Give up what is kept of a run, of which nothing more comes."""
        self._runs.pop(run_id, None)

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
