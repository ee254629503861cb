"""How commands that work on the log open it."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from api.nats_server import DIRECTORY, as_operator, embedded_server, is_embedded_wanted
from api.settings import Settings
from bridge import JetStreamBridge


@asynccontextmanager
async def open_log(
    settings: Settings, name: str, *, creates: bool = False
) -> AsyncGenerator[JetStreamBridge]:
    """Open the log: at the server that is named, or in the data directory's own store.

    Args:
        settings: Of the process.
        name: What the connection is called on the server.
        creates: Start a store where the data directory has none.
    """
    async with AsyncExitStack() as stack:
        has_store = creates or (settings.data / DIRECTORY).is_dir()
        if is_embedded_wanted(settings) and has_store:
            server = await stack.enter_async_context(embedded_server(settings))
            settings = as_operator(settings, server)
        yield await stack.enter_async_context(JetStreamBridge(settings.bridge, name=name))
