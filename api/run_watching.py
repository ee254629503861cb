"""The routes that stay open: stream a run or wait for it, newly created or joined."""

from functools import partial
from typing import Any, Final

from aiohttp import web

from api.answer_schemas import ServerSentEvent
from api.attachment import Attachments
from api.configurable_headers import with_headers
from api.expected_errors import CREATING, OPENING
from api.http_settings import HttpSettings
from api.identity import caller_of, user_of
from api.locations import RESUMED_HEADERS
from api.open_streams import OpenStreams
from api.operations import EVENT_STREAM, Answer, operation
from api.parameters import (
    LAST_EVENT_ID,
    LAST_EVENT_ID_QUERY,
    STREAM_MODE,
    SUBSCRIPTION,
)
from api.schemas import RunCreate, RunHeaders, RunJoin, RunStream
from api.stream import BREAKS, Reading, RunStreams, cursor_of, decline
from api.stream_modes import ModeFilter, parse_modes
from api.subscribed_stream import Subscribed, SubscribedStreams, subscription_of
from api.thread_modes import parse_thread_modes
from api.threads import thread_of
from api.waiting import RunWaits
from bridge import ConsumerDriftError, RunRef, check_id
from runs import (
    DisconnectMode,
    RunNotFoundError,
    RunRecord,
    RunsFacade,
    RunSpec,
    UnsupportedOptionError,
)

_EVENTS: Final = Answer(ServerSentEvent, media_type=EVENT_STREAM, headers=RESUMED_HEADERS)
_VALUES: Final = Answer(Any, headers=RESUMED_HEADERS)


class RunWatching:
    """Connects clients with runs for as long as these take."""

    def __init__(
        self,
        facade: RunsFacade,
        attachments: Attachments,
        open_streams: OpenStreams,
        streams: RunStreams,
        subscribed: SubscribedStreams,
        settings: HttpSettings,
    ) -> None:
        self._facade = facade
        self._attachments = attachments
        self._open_streams = open_streams
        self._streams = streams
        self._subscribed = subscribed
        self._settings = settings
        self.waits = RunWaits(open_streams, settings)

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of streams and waits."""
        run = "/threads/{thread_id}/runs/{run_id}"
        return [
            web.post("/threads/{thread_id}/runs/stream", self.create_and_stream),
            web.post("/threads/{thread_id}/runs/wait", self.create_and_wait),
            web.post("/runs/stream", self.create_and_stream),
            web.post("/runs/wait", self.create_and_wait),
            # A HEAD must not hold a stream open.
            web.get(f"{run}/stream", self.stream, allow_head=False),
            web.get(f"{run}/join", self.join, allow_head=False),
            web.get("/runs/{run_id}/stream", self.stream, allow_head=False),
        ]

    @operation(_EVENTS, raises=(*CREATING, *OPENING))
    async def create_and_stream(
        self, request: web.Request, query: RunStream, body: RunCreate, headers: RunHeaders
    ) -> web.StreamResponse:
        """``POST .../runs/stream``: start a run and stream what its creator asks to see.

        An answer lets the run go on that asked, and the stream begins behind its question.
        """
        query.refuse_namespace()
        spec = self._spec_of(request, body, headers)
        after = None
        if spec.command is not None and spec.thread_id is not None:
            after = await self._facade.find_place_of_question(spec.thread_id, user_id=spec.user_id)
        run = _ref(await self._create(request, spec))
        cancels = spec.on_disconnect is DisconnectMode.CANCEL
        reading = Reading(*run, user_of(request), ModeFilter(spec.stream_mode), after)
        async with self._attachments.attached(request, run, cancels=cancels):
            return await self._streams.serve(request, reading)

    @operation(_VALUES, raises=(*CREATING, *OPENING))
    async def create_and_wait(
        self, request: web.Request, body: RunCreate, headers: RunHeaders
    ) -> web.StreamResponse:
        """``POST .../runs/wait``: start a run and answer with its final values."""
        spec = self._spec_of(request, body, headers)
        created = await self._create(request, spec)
        cancels = spec.on_disconnect is DisconnectMode.CANCEL
        return await self._wait(request, _ref(created), cancels=cancels, created=created)

    @operation(
        _EVENTS,
        raises=(ConsumerDriftError, UnsupportedOptionError),
        parameters=(STREAM_MODE, LAST_EVENT_ID, LAST_EVENT_ID_QUERY, SUBSCRIPTION),
    )
    async def stream(self, request: web.Request, query: RunJoin) -> web.StreamResponse:
        """``GET .../stream``: follow a run from any cursor."""
        query.refuse_namespace()
        try:
            run = await self._joined(request)
            modes = await self._modes_of(request, run)
        except BREAKS as error:
            return await decline(request, error)
        name = subscription_of(request)
        async with self._attachments.attached(request, run, cancels=query.cancel_on_disconnect):
            if name is not None:
                all_modes = parse_thread_modes(request.query.getall("stream_mode", []))
                wanted = Subscribed(name, *run, user_of(request), all_modes)
                return await self._subscribed.serve(request, wanted)
            reading = Reading(*run, user_of(request), modes, cursor_of(request))
            return await self._streams.serve(request, reading)

    async def _modes_of(self, request: web.Request, run: RunRef) -> ModeFilter:
        modes = parse_modes(request.query.getall("stream_mode", []))
        if not modes.admits_all:
            return modes
        record = await self._facade.find_run(run.run_id, user_id=user_of(request))
        return modes if record is None else modes.like(record.kwargs.get("stream_mode") or ())

    @operation(_VALUES, raises=OPENING)
    async def join(self, request: web.Request, query: RunJoin) -> web.StreamResponse:
        """``GET .../join``: wait for a run's final values."""
        run = run_of(request)
        self._open_streams.check_room(caller_of(request))
        await self._facade.get_run(*run, user_id=user_of(request))
        return await self._wait(request, run, cancels=query.cancel_on_disconnect)

    def _spec_of(self, request: web.Request, body: RunCreate, headers: RunHeaders) -> RunSpec:
        thread_id = thread_of(request) if "thread_id" in request.match_info else None
        return spec_of(request, thread_id, body, headers, self._settings)

    async def _create(self, request: web.Request, spec: RunSpec) -> RunRecord:
        # A refusal must come before the run exists: afterwards it would be started twice.
        self._open_streams.check_room(caller_of(request))
        return await self._attachments.create(request, spec)

    async def _joined(self, request: web.Request) -> RunRef:
        if "thread_id" in request.match_info:
            return run_of(request)
        run_id = check_id("run_id", request.match_info["run_id"])
        record = await self._facade.find_run(run_id, user_id=user_of(request))
        if record is None:
            raise RunNotFoundError(run_id)
        return RunRef(record.thread_id, run_id)

    async def _wait(
        self,
        request: web.Request,
        run: RunRef,
        *,
        cancels: bool,
        created: RunRecord | None = None,
    ) -> web.StreamResponse:
        async with self._attachments.attached(request, run, cancels=cancels):
            waiting = partial(
                self._facade.join_wait, *run, user_id=user_of(request), created=created
            )
            return await self.waits.serve(request, run, waiting)


def _ref(record: RunRecord) -> RunRef:
    return RunRef(record.thread_id, record.run_id)


def spec_of(
    request: web.Request,
    thread_id: str | None,
    body: RunCreate,
    headers: RunHeaders,
    settings: HttpSettings,
) -> RunSpec:
    """Return what a request that creates a run asks for.

    Args:
        request: The request.
        thread_id: The thread; None for a stateless run.
        body: What it says.
        headers: Likewise.
        settings: What counts where the body is silent.

    Raises:
        ContradictoryOptionsError: Two options exclude each other.
        UnsupportedOptionError: An option is set that nothing honours.
    """
    spec = body.spec(thread_id, settings)
    changes: dict[str, Any] = {
        "idempotency_key": headers.idempotency_key,
        "user_id": user_of(request),
    }
    if settings.header_includes:
        changes["config"] = with_headers(spec.config, request.headers, settings)
    return spec.model_copy(update=changes)


def run_of(request: web.Request) -> RunRef:
    """Return the run that a request's path names.

    Raises:
        InvalidIdError: It cannot be a run's id, or its thread's.
    """
    return RunRef.checked(request.match_info["thread_id"], request.match_info["run_id"])
