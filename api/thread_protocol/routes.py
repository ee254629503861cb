"""The routes of the thread protocol."""

from aiohttp import web

from api.answer_schemas import CommandDone, CommandRefused, ServerSentEvent
from api.answers import json_answer
from api.expected_errors import OPENING
from api.identity import user_of
from api.limits.errors import OverloadedError
from api.limits.overload import OVERLOAD
from api.locations import RUN_HEADERS, run_headers
from api.operations import EVENT_STREAM, Answer, operation
from api.thread_protocol.channels import EventsWanted
from api.thread_protocol.commands import START_RUN, Command, ThreadCommands
from api.thread_protocol.event_stream import ThreadEventStreams
from api.threads import thread_of
from api.unattended import UnattendedWork
from runs import QueueFullError, RunConflictError, TooManyRunsError


class ThreadProtocolRoutes:
    """Takes commands, and shows what comes of them."""

    def __init__(
        self, commands: ThreadCommands, streams: ThreadEventStreams, unattended: UnattendedWork
    ) -> None:
        self._commands = commands
        self._streams = streams
        self._unattended = unattended

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of the protocol."""
        thread = "/threads/{thread_id}"
        return [
            web.post(f"{thread}/commands", self.command),
            web.post(f"{thread}/stream/events", self.events),
        ]

    @operation(
        Answer(CommandDone | CommandRefused, headers=RUN_HEADERS),
        raises=(OverloadedError, QueueFullError, RunConflictError, TooManyRunsError),
    )
    async def command(self, request: web.Request, body: Command) -> web.Response:
        """``POST /threads/{thread_id}/commands``: start a run, or answer a question."""
        thread_id, user_id = thread_of(request), user_of(request)
        if body.method == START_RUN:
            request.app[OVERLOAD].check()
        performing = self._commands.perform(thread_id, user_id, body, request.headers)
        answer, run = await self._unattended.finish(performing, "perform command")
        headers = None if run is None else run_headers(run.thread_id, run.run_id)
        return json_answer(answer, headers=headers)

    @operation(Answer(ServerSentEvent, media_type=EVENT_STREAM), raises=OPENING)
    async def events(self, request: web.Request, body: EventsWanted) -> web.StreamResponse:
        """``POST /threads/{thread_id}/stream/events``: follow all runs of a thread, for ever."""
        thread_id = thread_of(request)
        return await self._streams.serve(request, thread_id, user_of(request), body)
