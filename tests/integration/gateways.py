"""Gateways in this process."""

import asyncio
from contextlib import asynccontextmanager

from api.app import create_app
from api.gateway import serve_application
from api.listener import open_listener
from api.webhooks.calling import calling_webhooks, policy_of
from bridge import JetStreamBridge
from runs import AssistantCatalog, RunManager, RunsFacade
from store import ArchiveColdTier


class Gateway:
    """A gateway under test, with what it is made of in reach."""

    def __init__(self, app, bridge, facade):
        self.app = app
        self.bridge = bridge
        self.facade = facade
        self.url = None
        self._serving = None

    async def serve(self, settings, listener):
        urls = asyncio.get_running_loop().create_future()
        serving = serve_application(
            self.app, listener, shutdown_s=settings.shutdown_s, announce=urls.set_result
        )
        self._serving = asyncio.create_task(serving)
        self.url = await urls

    async def stop(self):
        """End it in order, as SIGTERM does."""
        self._serving.cancel()
        await asyncio.wait([self._serving])


@asynccontextmanager
async def running_gateway(settings, authenticate=None):
    async with JetStreamBridge(settings.bridge, cold=ArchiveColdTier(settings.data)) as bridge:
        webhooks = settings.webhooks
        catalog = AssistantCatalog(settings.assistants)
        manager = RunManager(bridge, catalog, settings.runs, webhooks=policy_of(webhooks))
        facade = RunsFacade(manager, bridge)
        gateway = Gateway(create_app(settings, bridge, facade, authenticate), bridge, facade)
        listener = open_listener(settings.http, authenticates=settings.auth.is_on)
        await gateway.serve(settings.http, listener)
        try:
            async with calling_webhooks(webhooks, bridge, manager):
                yield gateway
        finally:
            await gateway.stop()
            listener.close()
