"""The gateway process: one bridge, run control, and the HTTP application.

``python -m api.gateway`` takes its settings from the environment alone, as all processes do that a
supervisor starts. The gateway keeps no state: any number of them serve the same runs.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from api.app import create_app, drain
from api.limits.connection import CONNECTION_LIMITS
from api.limits.connection_room import allow_open_files
from api.limits.site import LimitedSite
from api.listener import listener_url, open_listener
from api.settings import Settings, load_settings
from api.signals import run_until_signalled
from api.startup_errors import StartupError
from api.webhooks.calling import calling_webhooks, policy_of
from bridge import BridgeError, JetStreamBridge, set_up_logging, set_up_tracing
from runs import (
    AssistantCatalog,
    CronFirings,
    Expiry,
    GraphStates,
    HeldRuns,
    RunManager,
    RunsError,
    RunsFacade,
    ThreadUpkeep,
    open_read_model,
)
from store import ArchiveColdTier

#: In the data directory: a file for each gateway that uses it.
READ_MODEL_DIRECTORY: Final = "read_model"


@asynccontextmanager
async def gateway_application(settings: Settings) -> AsyncGenerator[web.Application]:
    """Connect to NATS and wire the application; on leaving, the connection is closed.

    Raises:
        BridgeError: NATS cannot be used; nothing was left open.
        RunsError: The data directory cannot be used; likewise.
    """
    cold = ArchiveColdTier(settings.data)
    async with JetStreamBridge(settings.bridge, name="jetrun-gateway", cold=cold) as bridge:
        catalog = AssistantCatalog(settings.assistants)
        webhooks = settings.webhooks
        manager = RunManager(bridge, catalog, settings.runs, policy_of(webhooks))
        directory = settings.data / READ_MODEL_DIRECTORY
        async with open_read_model(bridge.state_feed, directory, settings.read_model) as model:
            facade = RunsFacade(manager, bridge, model)
            graphs = GraphStates(bridge, facade, catalog, settings.http.graph_answer_s)
            trim = ThreadUpkeep(facade, graphs).keep_latest
            async with (
                bridge.sweeping(HeldRuns(bridge, manager, settings.runs)),
                calling_webhooks(webhooks, bridge, manager),
                CronFirings(bridge, manager, stale_s=settings.runs.stale_s).going_on(),
                Expiry(model, manager, settings.expiry, trim).going_on(),
            ):
                yield create_app(settings, bridge, facade)


async def serve_application(
    app: web.Application,
    listener: socket.socket,
    *,
    shutdown_s: float,
    announce: Callable[[str], None],
) -> None:
    """Serve until cancelled; then let requests and streams in progress end.

    Args:
        app: The application.
        listener: Where it listens; closed on leaving.
        shutdown_s: Seconds that streams and requests in progress have to end.
        announce: Called with the gateway's URL once it answers.
    """
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=shutdown_s / 2)
    try:
        await runner.setup()
        await LimitedSite(runner, listener, app[CONNECTION_LIMITS]).start()
        announce(listener_url(listener))
        await asyncio.Event().wait()
    finally:
        try:
            await drain(app, shutdown_s / 2)
        finally:
            await runner.cleanup()


async def run_gateway(settings: Settings, announce: Callable[[str], None]) -> None:
    """Be a gateway until cancelled.

    Raises:
        StartupError: The address cannot be listened on, or must not be.
        BridgeError: The port is taken, or NATS cannot be used.
        RunsError: The data directory cannot be used.
    """
    listener = open_listener(settings.http, authenticates=settings.auth.is_on)
    allow_open_files(settings.limits)
    try:
        async with gateway_application(settings) as app:
            await serve_application(
                app, listener, shutdown_s=settings.http.shutdown_s, announce=announce
            )
    finally:
        listener.close()


def main() -> None:
    """Run the process; exit status 1 with one line when it cannot start."""
    try:
        settings = load_settings()
        set_up_logging(settings.logging)
        set_up_tracing(settings.tracing, "gateway")
        run_until_signalled(run_gateway(settings, lambda url: print(url, flush=True)))  # noqa: T201 - the one line that this process prints
    except (StartupError, BridgeError, RunsError) as exc:
        sys.exit(f"jetrun gateway: {exc}")


if __name__ == "__main__":
    main()
