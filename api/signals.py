"""Stop a process in order when it is told to: SIGTERM and Ctrl-C cancel its main task."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import uvloop

from bridge.garbage import collect_seldom


def run_until_signalled(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` on a loop of its own until it returns or the process gets a signal.

    The signal cancels ``main``, whose context managers then stop everything in order; a second
    one cancels that, too. Returns normally in both cases, and raises what ``main`` raises.
    """
    collect_seldom()
    uvloop.run(_run(main))


async def _run(main: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(main)
    signalled = False

    def stop() -> None:
        nonlocal signalled
        signalled = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not signalled:
            raise
