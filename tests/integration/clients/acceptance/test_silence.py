"""A run that says nothing for longer than what cuts idle connections keeps its own."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from cutting_proxy import CuttingProxy
from sdks import SDKS, open_sdk

pytestmark = pytest.mark.usefixtures("worker")

SILENT_S = 16
#: Of it npm 1.15.0 makes a timeout of 6 s; the Python SDK gets one that is about as short.
HEARTBEAT_S = 2
IMPATIENT = httpx.Timeout(5, read=7)
RUN = {"input": {"sleep_s": SILENT_S, "values": {"done": True}}}


async def test_a_silent_run_is_read_and_waited_for_without_a_reconnect(start_gateway):
    gateway = await start_gateway(heartbeat_s=HEARTBEAT_S)
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        proxy = await stack.enter_async_context(CuttingProxy(gateway.url))
        opened = [open_sdk(name, proxy.url, timeout=IMPATIENT) for name in SDKS]
        clients = [await stack.enter_async_context(each) for each in opened]
        waits = [client.call("runs.wait", None, "echo", **RUN) for client in clients]
        reads = [client.read("runs.stream", None, "echo", **RUN) for client in clients]
        *answers, waited = await asyncio.gather(*reads, asyncio.gather(*waits))
        assert proxy.connections == 2 * len(SDKS)
    assert waited == [{"done": True}] * len(SDKS)
    for parts in answers:
        assert [part.event for part in parts] == ["metadata", "values", "end"]
