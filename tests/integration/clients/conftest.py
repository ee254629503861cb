"""JavaScript clients in a real Node.js, and a network between client and gateway that fails."""

from contextlib import AsyncExitStack

import pytest
from cutting_proxy import CuttingProxy
from js_client import SDKS, js_client


@pytest.fixture
async def open_js():
    """Open clients: ``await open_js("sdk-1.15.0", url)``; they close with the test."""
    async with AsyncExitStack() as stack:

        async def opened(sdk, url, *flags):
            return await stack.enter_async_context(js_client(sdk, url, *flags))

        yield opened


@pytest.fixture(params=SDKS)
def sdk(request):
    """The name of an npm package: the SDK in one of the versions that people have."""
    return request.param


@pytest.fixture
async def js(open_js, gateway, sdk):
    """A client of either version, connected to the gateway."""
    return await open_js(sdk, gateway.url)


@pytest.fixture
async def proxy(gateway):
    """What stands between clients and the gateway, and cuts connections when told."""
    async with CuttingProxy(gateway.url) as running:
        yield running
