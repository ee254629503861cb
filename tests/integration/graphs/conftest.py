"""Graphs, served to the unmodified SDK by a gateway and a worker that a module's tests share."""

import pytest
import pytest_asyncio
from graph_stack import running_stack


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stack(tmp_path_factory):
    async with running_stack(tmp_path_factory.mktemp("graphs")) as running:
        yield running


@pytest.fixture
def client(stack):
    return stack.client


@pytest_asyncio.fixture(loop_scope="module")
async def thread_id(client):
    return (await client.threads.create(metadata={"topic": "tests"}))["thread_id"]
