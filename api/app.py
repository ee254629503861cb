"""The HTTP application: which routes there are, and what stands around them."""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from api.appending import AppendRoutes
from api.archive import ArchiveRoutes
from api.assistants import AssistantRoutes
from api.attachment import Attachments
from api.auth.audit import note_answer, note_departure
from api.auth.authentication import authenticate_by
from api.auth.permissions import MOUNT_PREFIX
from api.auth.routes import TokenRoutes
from api.auth.stream_tokens import StreamTokens
from api.auth.withdrawals import Withdrawals
from api.console.routes import ConsoleRoutes
from api.crons import CronRoutes
from api.cross_origin import CrossOrigin
from api.doctor.routes import DoctorRoutes
from api.http_settings import HttpSettings
from api.identity import Authenticate, authenticated_by
from api.items import ItemRoutes
from api.limits.event_rates import EventRates
from api.limits.shedding import shed_new_work
from api.limits.wiring import set_limits
from api.log_metrics import LogCollector
from api.made_assistants import MadeAssistantRoutes
from api.many_runs import ManyRunsRoutes
from api.metrics import METRICS, MetricsRoutes
from api.open_streams import OpenStreams, OpenStreamsCollector
from api.openapi.routes import REFERENCE, Reference, ReferenceRoutes
from api.problems import answer_problems
from api.request_metrics import RequestFigures
from api.request_naming import add_request_id, name_request
from api.request_origins import refuse_other_origins
from api.run_again import RunAgainRoutes
from api.run_watching import RunWatching
from api.runs import RunRoutes
from api.settings import Settings
from api.settling import Settling
from api.stream import RunStreams
from api.subscribed_stream import SubscribedStreams
from api.system import SystemRoutes
from api.system_state import SystemStateRoutes
from api.thread_events import ThreadEventRoutes
from api.thread_protocol.commands import ThreadCommands
from api.thread_protocol.event_stream import ThreadEventStreams
from api.thread_protocol.routes import ThreadProtocolRoutes
from api.thread_states import ThreadStateRoutes
from api.thread_streams import ThreadStreams
from api.threads import ThreadRoutes
from api.unattended import UnattendedWork
from api.webhooks.routes import WebhookRoutes
from bridge import JetStreamBridge, TracingSettings, process_registry
from runs import AssistantBook, AssistantCatalog, GraphStates, RunsFacade, ThreadUpkeep
from store import ArchiveLayout, JetStreamRunEventStore

OPEN_STREAMS: Final = web.AppKey("open_streams", OpenStreams)
UNATTENDED: Final = web.AppKey("unattended", UnattendedWork)


def create_app(
    settings: Settings,
    bridge: JetStreamBridge,
    facade: RunsFacade,
    authenticate: Authenticate | None = None,
) -> web.Application:
    """Wire the application.

    Serve it with ``handler_cancellation=True``, so that it notices when a client leaves; call
    :func:`drain` before the server is stopped.

    Args:
        settings: Of the process.
        bridge: The event log, started; it outlives the application.
        facade: Run control on that log.
        authenticate: Tells who sent a request; ``None``: as the settings say.
    """
    http = settings.http
    stream_tokens = StreamTokens(bridge, settings.auth)
    app = _without_routes(
        settings,
        authenticate or authenticate_by(settings.auth, bridge, stream_tokens),
        asks_who_calls=authenticate is not None or settings.auth.is_on,
    )
    set_limits(app, settings, bridge, app[METRICS])
    open_streams, unattended = app[OPEN_STREAMS], app[UNATTENDED]
    log_figures = LogCollector(bridge)
    app[METRICS].register(log_figures)
    settling = Settling(facade, http.settle_after_s)
    subscribed = SubscribedStreams(bridge, facade, open_streams, settling, http)
    watching = RunWatching(
        facade,
        Attachments(facade, unattended),
        open_streams,
        RunStreams(facade, open_streams, settling, http),
        subscribed,
        http,
    )
    thread_streams = ThreadStreams(bridge, facade, open_streams, http)
    catalog = AssistantCatalog(settings.assistants)
    book = AssistantBook(bridge, catalog, settings.runs.max_assistant_versions)
    graphs = GraphStates(bridge, facade, catalog, http.graph_answer_s)
    archive = ArchiveRoutes(
        facade, JetStreamRunEventStore(bridge, settings.data), ArchiveLayout(settings.data)
    )
    protocol = ThreadProtocolRoutes(
        ThreadCommands(facade, http),
        ThreadEventStreams(bridge, facade, thread_streams, settling),
        unattended,
    )
    groups: dict[str, list[Routes]] = {
        "meta": [
            SystemRoutes(bridge, open_streams, settings.log.prefix),
            SystemStateRoutes(bridge, settings),
            MetricsRoutes(app[METRICS], log_figures),
            DoctorRoutes(settings),
            ReferenceRoutes(),
        ],
        "assistants": [
            AssistantRoutes(book, graphs),
            MadeAssistantRoutes(book, facade, unattended),
        ],
        "threads": [
            ThreadRoutes(facade, ThreadUpkeep(facade, graphs), unattended),
            ThreadStateRoutes(facade, graphs),
        ],
        "runs": [
            watching,
            ThreadEventRoutes(bridge, facade, thread_streams, subscribed, settling),
            protocol,
            RunRoutes(facade, watching, unattended, http),
            AppendRoutes(bridge, facade, EventRates(settings.limits)),
            RunAgainRoutes(facade, unattended),
            ManyRunsRoutes(facade, unattended, http),
            WebhookRoutes(facade),
            CronRoutes(facade, unattended, http),
            TokenRoutes(facade, stream_tokens),
            archive,
        ],
        "store": [ItemRoutes(bridge, settings.graphs)],
        "ui": [ConsoleRoutes()],
    }
    served = {
        name: [route for each in group for route in each.routes()]
        for name, group in groups.items()
        if name not in http.disabled
    }
    for routes in served.values():
        app.add_routes(_below(http.mount_prefix, routes))
    app[REFERENCE] = Reference(served, http.mount_prefix)
    return app


def _without_routes(
    settings: Settings, authenticate: Authenticate, *, asks_who_calls: bool
) -> web.Application:
    """Return an application without routes: what stands around them, and what they share."""
    http = settings.http
    cross_origin = CrossOrigin(http)
    requests = RequestFigures()
    app = web.Application(
        client_max_size=http.max_body_bytes,
        middlewares=[
            name_request,
            *_tracing(settings.tracing),
            requests.middleware,
            note_departure,
            answer_problems,
            # A browser asks whether its page may call without saying for whom.
            cross_origin.middleware,
            *([] if asks_who_calls else [_guard(http, cross_origin)]),
            shed_new_work,
            authenticated_by(authenticate),
        ],
    )
    app[MOUNT_PREFIX] = http.mount_prefix
    streams = app[OPEN_STREAMS] = OpenStreams(
        http.max_streams, settings.limits.max_streams_per_user
    )
    app.cleanup_ctx.append(Withdrawals(streams, settings.auth.recheck_s).looking)
    app[UNATTENDED] = UnattendedWork()
    app[METRICS] = process_registry(requests, OpenStreamsCollector(streams))
    app.on_response_prepare.extend(
        [add_request_id, cross_origin.add_headers, note_answer, requests.note_answer]
    )
    return app


def _tracing(settings: TracingSettings) -> list[Middleware]:
    if not settings.enabled:
        return []
    from api.request_tracing import trace_request  # noqa: PLC0415 - an extra

    return [trace_request]


def _guard(http: HttpSettings, cross_origin: CrossOrigin) -> Middleware:
    # Where a credential is asked for, a strange page has none to send.
    return refuse_other_origins(
        cross_origin.allows, serves_machine_alone=not http.allow_unauthenticated
    )


async def drain(app: web.Application, within_s: float) -> None:
    """Stop being ready, end all streams between two events, and finish what was begun.

    Args:
        app: What :func:`create_app` returned, still served.
        within_s: Seconds in all; what has not ended then is left to the server's end.
    """
    await app[OPEN_STREAMS].close(within_s / 2)
    await app[UNATTENDED].close(within_s / 2)


class Routes(Protocol):
    """What serves some paths."""

    def routes(self) -> list[web.RouteDef]:
        """Return which paths, and how."""
        ...


def _below(prefix: str, routes: Iterable[web.RouteDef]) -> Iterator[web.RouteDef]:
    for route in routes:
        yield web.RouteDef(route.method, f"{prefix}{route.path}", route.handler, route.kwargs)
