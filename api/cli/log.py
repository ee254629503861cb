"""How commands that work on the log open it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from api.nats_server import DIRECTORY, is_embedded_wanted, shared_server
from api.settings import Settings
from bridge import JetStreamBridge


@asynccontextmanager
async def server_of(settings: Settings, *, creates: bool = False) -> AsyncGenerator[Settings]:
    """Yield settings that name a server: as they do, or one on the data directory's own store.

    Where a process runs one there already, as `jetrun serve` does, that one is used.

    Args:
        settings: Of the process.
        creates: Start a store where the data directory has none.
    """
    has_store = creates or (settings.data / DIRECTORY).is_dir()
    if not is_embedded_wanted(settings) or not has_store:
        yield settings
        return
    async with shared_server(settings) as reached:
        yield reached


@asynccontextmanager
async def open_log(
    settings: Settings, name: str, *, creates: bool = False
) -> AsyncGenerator[JetStreamBridge]:
    """Open the log of :func:`server_of`.

    Args:
        settings: Of the process.
        name: What the connection is called on the server.
        creates: As for :func:`server_of`.
    """
    async with (
        server_of(settings, creates=creates) as reached,
        JetStreamBridge(reached.bridge, name=name) as bridge,
    ):
        yield bridge
