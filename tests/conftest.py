"""Fixtures of all tests: a real nats-server each, the production event loop, one way to wait."""

import asyncio
import faulthandler
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

#: How much longer than its timeout a test may hold its process, in seconds.
PATIENCE_S = 60
STDERR = pytest.StashKey[int]()


def pytest_configure(config):
    """Keep the real standard error, which capturing hides from tests."""
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        config.stash[STDERR] = os.dup(2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """End a process that a test holds for ever, with the stacks of its threads.

    The timeout of a test is a signal, which nobody sees who waits in C. The run then goes on in a
    new process and tells which test it was.
    """
    marker = item.get_closest_marker("timeout")
    timeout_s = marker.args[0] if marker else float(item.config.getini("timeout"))
    given_s = item.config.getoption("timeout") or 0
    wait_s = max(timeout_s, given_s) + PATIENCE_S
    faulthandler.dump_traceback_later(wait_s, exit=True, file=item.config.stash[STDERR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_sessionstart():
    """Fail at once, and once, where there is no server to test against."""
    try:
        asyncio.run(find_server_binary())
    except BridgeError as exc:
        pytest.exit(str(exc), returncode=1)


class _Loop(uvloop.Loop):
    """The loop that the processes run on; a test must have stopped what it started there.

    A plain loop waits without end, when it is closed, for children that a failed test left behind.
    """

    def __init__(self):
        super().__init__()
        self._children = []

    async def subprocess_exec(self, *args, **options):
        return self._remember(await super().subprocess_exec(*args, **options))

    async def subprocess_shell(self, *args, **options):
        return self._remember(await super().subprocess_shell(*args, **options))

    def close(self):
        left = [child for child in self._children if child.get_returncode() is None]
        for child in left:
            child.kill()
        super().close()
        if left:
            pytest.fail(f"left running: processes {[child.get_pid() for child in left]}")

    def _remember(self, started):
        self._children.append(started[0])
        return started


def pytest_asyncio_loop_factories():
    """Run every test on the loop that the processes run on."""
    return {"uvloop": _Loop}


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
