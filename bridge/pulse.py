"""Notice a server that falls silent without closing the connection, as a stopped one does.

TCP tells nothing for many minutes then, and a client that waits could as well be connected to
another node of the cluster.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from bridge.replies import SilenceError

#: Time to read what the kernel has received.
_READ_FIRST_S: Final = 0.1


class Pulse:
    """Asks for a sign of life again and again, beside all other requests.

    Args:
        ask: Gets an answer from the server, or raises SilenceError.
        count_received: Returns how many messages have come so far.
        leave: Breaks the connection; called when an answer is missing and nothing else came.
        every_s: Seconds between questions.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        count_received: Callable[[], int],
        leave: Callable[[], None],
        *,
        every_s: float,
    ) -> None:
        self._ask = ask
        self._count_received = count_received
        self._leave = leave
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            received = self._count_received()
            try:
                await self._ask()
            except SilenceError as silence:
                # After this process itself has stood still, what came meanwhile is read first.
                await asyncio.sleep(_READ_FIRST_S)
                if silence.sent and self._count_received() == received:
                    self._leave()
