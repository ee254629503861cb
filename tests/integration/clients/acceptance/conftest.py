"""One stack for the tests of a module, called by each of the four SDKs that people have."""

import pytest
import pytest_asyncio
from graph_stack import running_stack
from sdks import SDKS, open_sdk

from runs import RunSettings

SLEEPING = {"sleep_s": 60}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack(tmp_path_factory):
    """A gateway and a worker that executes functions and graphs."""
    runs = RunSettings(temporary_ttl_s=0)
    async with running_stack(tmp_path_factory.mktemp("acceptance"), runs=runs) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=SDKS)
async def client(request, stack):
    """One SDK after the other."""
    async with open_sdk(request.param, stack.gateway.url) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def thread_id(client):
    return (await client.call("threads.create"))["thread_id"]


@pytest.fixture
def start(client, thread_id):
    """Create a run, and return its id when a worker executes it: ``await start()``."""

    async def start():
        run = await client.call("runs.create", thread_id, "echo", input=SLEEPING)
        await client.read("runs.join_stream", thread_id, run["run_id"], stop_after=2)
        return run["run_id"]

    return start
