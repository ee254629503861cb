"""The NATS server of a process that was not told of another one: embedded, and kept running."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from api.server_access import ServerAccess
from api.settings import Role, Settings
from bridge import BridgeError, EmbeddedServer, NatsSettings, NatsUser

_LOG = logging.getLogger(__name__)

DIRECTORY: Final = "nats"
_KEPT: Final = ("connect_timeout_s", "reconnect_wait_s", "ping_interval_s")
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 10.0


@asynccontextmanager
async def embedded_server(settings: Settings) -> AsyncGenerator[EmbeddedServer]:
    """Run a server on ``{data}/nats``, and keep it running.

    A server that dies is started again on its store, at the same address.

    Raises:
        BridgeError: The server cannot be started; nothing was left running.
    """
    async with EmbeddedServer(settings.data / DIRECTORY, settings.embedded) as server:
        access = ServerAccess.of(server)
        access.write(server.data_dir)
        keeper = asyncio.create_task(_keep(server), name="keep nats-server")
        try:
            yield server
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])
            access.remove(server.data_dir)


@asynccontextmanager
async def shared_server(settings: Settings) -> AsyncGenerator[Settings]:
    """Yield ``settings`` with the server of the data directory, whoever runs it.

    Where another process of ours does, that one is used, as an operator; else one is run here.

    Raises:
        BridgeError: The server cannot be started; nothing was left running.
    """
    access = ServerAccess.find(settings.data / DIRECTORY)
    if access is not None:
        yield _with_access(settings, access)
        return
    async with embedded_server(settings) as server:
        yield as_operator(settings, server)


def as_operator(settings: Settings, server: EmbeddedServer) -> Settings:
    """Return ``settings`` with the address of a running server, and who may do everything there."""
    return _with_access(settings, ServerAccess.of(server))


def as_role(settings: Settings, server: EmbeddedServer, role: Role) -> Settings:
    """Return ``settings`` with the address of a running server, and who may do what a role does."""
    user = NatsUser(role.value)
    known = {"user": user, "password": server.password_of(user)}
    return _with_access(settings, ServerAccess.of(server).model_copy(update=known))


def _with_access(settings: Settings, access: ServerAccess) -> Settings:
    # Whatever else the section says of credentials and TLS is of another server.
    kept = {name: getattr(settings.nats, name) for name in _KEPT}
    known = access.model_dump(exclude={"pid"})
    return settings.model_copy(update={"nats": NatsSettings(**kept, **known)})


def is_embedded_wanted(settings: Settings) -> bool:
    """Return whether neither option nor variable nor file names a NATS server."""
    return "url" not in settings.nats.model_fields_set


async def _keep(server: EmbeddedServer) -> None:
    pause_s = _FIRST_PAUSE_S
    while True:
        if server.is_running:
            status = await server.wait()
            pause_s = _FIRST_PAUSE_S
            _LOG.warning("nats.died", extra={"status": status, "pause_s": pause_s})
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _MAX_PAUSE_S)
        try:
            await server.restart()
        except BridgeError as exc:
            _LOG.error("nats.start_failed", extra={"error": exc.code, "pause_s": pause_s})
