"""What ``jetrun serve`` runs: a NATS server unless there is one, and the roles of this machine.

This process is the gateway; worker and sink are its children, so that user code never shares the
gateway's event loop.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final

from api.environment import environment_without_gateways
from api.gateway import gateway_application, serve_application
from api.limits.connection_room import allow_open_files
from api.listener import open_listener
from api.nats_server import as_operator, as_role, embedded_server, is_embedded_wanted
from api.settings import Role, Settings
from api.startup_errors import DataDirectoryError
from api.supervisor import ChildSpec, Supervisor, python_module
from bridge import make_streams

#: Beyond a child's own time to finish, before it is killed.
_STOP_MARGIN_S: Final = 3.0


async def run_stack(settings: Settings, announce: Callable[[str], None]) -> None:
    """Run the roles of ``settings`` until cancelled; then stop them in order.

    The port is taken first and NATS is connected to second, so that what cannot work fails before
    any child was started. Children stop before the NATS server does.

    Args:
        settings: Of all roles.
        announce: Called with the gateway's URL once it answers; never without a gateway.

    Raises:
        StartupError: The address cannot be listened on, or must not be, or the data directory
            cannot be used.
        BridgeError: The port is taken, or NATS cannot be started or used.
    """
    of_role = dict.fromkeys(Role, settings)
    async with AsyncExitStack() as stack:
        if Role.GATEWAY not in settings.roles:
            _prepare_data(settings)
            await _start_children(stack, of_role)
            await asyncio.Event().wait()
            return
        listener = open_listener(settings.http, authenticates=settings.auth.is_on)
        stack.callback(listener.close)
        allow_open_files(settings.limits)
        _prepare_data(settings)
        if is_embedded_wanted(settings):
            server = await stack.enter_async_context(embedded_server(settings))
            await make_streams(as_operator(settings, server).bridge)
            of_role = {role: as_role(settings, server, role) for role in Role}
        app = await stack.enter_async_context(gateway_application(of_role[Role.GATEWAY]))
        await _start_children(stack, of_role)
        await serve_application(
            app, listener, shutdown_s=settings.http.shutdown_s, announce=announce
        )


def worker_spec(settings: Settings, environment: Mapping[str, str]) -> ChildSpec:
    """Describe a worker with ``settings``; it imports none of the gateway's code."""
    grace_s = settings.worker.drain_s + settings.worker.cancel_grace_s + _STOP_MARGIN_S
    return ChildSpec("worker", python_module("runs.worker"), environment, stop_grace_s=grace_s)


def sink_spec(environment: Mapping[str, str]) -> ChildSpec:
    """Describe a sink."""
    return ChildSpec("sink", python_module("store.sink"), environment)


def _prepare_data(settings: Settings) -> None:
    path = settings.data
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise DataDirectoryError(path, exc.strerror or str(exc)) from exc
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataDirectoryError(path, "it is not writable")


async def _start_children(stack: AsyncExitStack, of_role: Mapping[Role, Settings]) -> None:
    supervisor = await stack.enter_async_context(Supervisor())
    sink, worker = of_role[Role.SINK], of_role[Role.WORKER]
    if Role.SINK in sink.roles:
        await supervisor.start(sink_spec(environment_without_gateways(sink)))
    if Role.WORKER in worker.roles:
        await supervisor.start(worker_spec(worker, environment_without_gateways(worker)))
