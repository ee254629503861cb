"""The NATS server of a process that was not told of another one: embedded, and kept running."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from api.server_access import ServerAccess
from api.settings import Settings
from bridge import BridgeError, EmbeddedServer

_LOG = logging.getLogger(__name__)

DIRECTORY: Final = "nats"
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 10.0


@asynccontextmanager
async def embedded_server(settings: Settings) -> AsyncGenerator[Settings]:
    """Run a server on ``{data}/nats`` and yield ``settings`` with its address and credentials.

    A server that dies is started again on its store, at the same address.

    Raises:
        BridgeError: The server cannot be started; nothing was left running.
    """
    async with EmbeddedServer(settings.data / DIRECTORY, settings.embedded) as server:
        access = ServerAccess.of(server)
        access.write(server.data_dir)
        keeper = asyncio.create_task(_keep(server), name="keep nats-server")
        try:
            yield with_server(settings, server)
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
        address = {**access.model_dump(exclude={"pid"}), "token": None}
        yield settings.model_copy(update={"nats": settings.nats.model_copy(update=address)})
        return
    async with embedded_server(settings) as reached:
        yield reached


def with_server(settings: Settings, server: EmbeddedServer) -> Settings:
    """Return ``settings`` with the address and the credentials of a running server."""
    address = {"url": server.url, "user": server.user, "password": server.password, "token": None}
    known = {**address, "sync_always": settings.embedded.sync_always}
    return settings.model_copy(update={"nats": settings.nats.model_copy(update=known)})


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
