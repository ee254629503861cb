"""The bounded wait for a server that is away: reconnect, back off, give up with an error."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from bridge.errors import Stored, UnavailableError

_PAUSE_START_S: Final = 0.02
_PAUSE_MAX_S: Final = 0.5


class Outage:
    """What is left of one call's patience.

    Args:
        wait_connected: Waits at most so many seconds for the connection; tells whether it is up.
        what: What the call does, for the message.
        budget_s: Seconds from now after which the call gives up.
    """

    def __init__(
        self, wait_connected: Callable[[float], Awaitable[bool]], what: str, budget_s: float
    ) -> None:
        self._wait_connected = wait_connected
        self._what = what
        # Not the loop's clock: to be asked for the loop, Python 3.11 asks the system each time.
        self._deadline = time.monotonic() + budget_s
        self._pause_s = _PAUSE_START_S

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return max(0.0, self._deadline - time.monotonic())

    @asynccontextmanager
    async def bounding(self, stored: Stored) -> AsyncGenerator[None]:
        """Let the body ask no longer than the budget lasts.

        Args:
            stored: What is known of the write that the body asks about, for the error.

        Raises:
            UnavailableError: The budget is spent.
        """
        try:
            async with asyncio.timeout(self.left_s):
                yield
        except (TimeoutError, UnavailableError) as error:
            raise UnavailableError(self._what, stored) from error

    async def wait(self, stored: Stored = Stored.NO) -> None:
        """Pause, then wait for the connection; call it before each repetition.

        Args:
            stored: What is known of the write, for the error.

        Raises:
            UnavailableError: The budget is spent.
        """
        left_s = self.left_s
        if not left_s:
            raise UnavailableError(self._what, stored)
        await asyncio.sleep(min(self._pause_s, left_s))
        self._pause_s = min(self._pause_s * 2, _PAUSE_MAX_S)
        if not await self._wait_connected(self.left_s):
            raise UnavailableError(self._what, stored)
