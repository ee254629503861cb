"""Fixtures of all tests: a real nats-server each, the production event loop, one way to wait."""

import asyncio
import inspect
import os
import time

import pytest
import uvloop
from hypothesis import settings

from bridge.errors import BridgeError
from bridge.server.binary import find_server_binary
from bridge.server.embedded import EmbeddedServer

#: Other tests share the machine, and speed is never asserted.
settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")


def pytest_sessionstart():
    """Fail at once, and once, where there is no server to test against."""
    try:
        asyncio.run(find_server_binary())
    except BridgeError as exc:
        pytest.exit(str(exc), returncode=1)


def pytest_asyncio_loop_factories():
    """Run every test on the loop that the processes run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def server(tmp_path):
    """A running nats-server of this test alone; kill() and restart() keep its store and port."""
    async with EmbeddedServer(tmp_path / "nats") as running:
        yield running


@pytest.fixture(scope="session")
def chaos_factor():
    """How many times longer the long rounds are; 1 in an ordinary run."""
    return int(os.environ.get("CHAOS_FACTOR", "1"))


@pytest.fixture(scope="session")
def eventually():
    """Wait until a condition holds: ``await eventually(lambda: queue.empty(), within_s=5)``."""
    return _eventually


async def _eventually(condition, *, within_s=5.0, what=None):
    deadline = time.monotonic() + within_s
    pause_s = 0.002
    while True:
        outcome = condition()
        if inspect.isawaitable(outcome):
            outcome = await outcome
        if outcome:
            return outcome
        if time.monotonic() >= deadline:
            name = what or getattr(condition, "__qualname__", repr(condition))
            pytest.fail(f"not within {within_s:g} s: {name}; last outcome {outcome!r}")
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.05)
