"""The part of a gateway that calls webhooks; without a secret there is none."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from api.webhooks.address_policy import AddressPolicy
from api.webhooks.sender import open_sender
from api.webhooks.settings import WebhookSettings
from bridge import RunBridge
from runs import RunManager, WebhookDeliveries


def policy_of(settings: WebhookSettings) -> AddressPolicy:
    """Return what judges the addresses of webhooks."""
    return AddressPolicy(
        settings.allowed_networks, is_signing=settings.secret is not None, rules=settings.rules
    )


@asynccontextmanager
async def calling_webhooks(
    settings: WebhookSettings, bridge: RunBridge, manager: RunManager
) -> AsyncGenerator[None]:
    """Call webhooks for the length of a context, as one of any number of gateways."""
    if settings.secret is None:
        yield
        return
    async with open_sender(settings, policy_of(settings)) as sender:
        deliveries = WebhookDeliveries(bridge, manager, sender, settings)
        async with deliveries.running():
            yield
