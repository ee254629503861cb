"""The long answers of this process: how many there may be, and how all of them end in order.

The body of a long answer runs inside :meth:`OpenStreams.admit`. When the gateway closes, each body
is interrupted where it waits, and it only waits between whole events.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.errors import GatewayClosingError, TooManyStreamsError


class OpenStreams:
    """Counts long answers, bounds them, and ends them.

    Args:
        max_streams: How many there may be at one time.
    """

    def __init__(self, max_streams: int) -> None:
        self._max_streams = max_streams
        self._scopes: set[asyncio.Timeout] = set()
        self._is_closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._scopes)

    @property
    def is_closing(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._is_closing

    def check_room(self) -> None:
        """Refuse early, before anything is created for an answer that cannot be given.

        Raises:
            TooManyStreamsError: As many are open as there may be.
            GatewayClosingError: The gateway is about to end.
        """
        if self._is_closing:
            raise GatewayClosingError
        if len(self._scopes) >= self._max_streams:
            raise TooManyStreamsError(self._max_streams)

    @asynccontextmanager
    async def admit(self) -> AsyncGenerator[None]:
        """Hold a place for one long answer.

        Raises:
            TooManyStreamsError: On entering: there is no place.
            GatewayClosingError: On entering, or while the body waits: the gateway is about to end.
        """
        self.check_room()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scopes.add(scope)
                self._empty.clear()
                try:
                    yield
                finally:
                    self._scopes.discard(scope)
                    if not self._scopes:
                        self._empty.set()
        except TimeoutError:
            if scope.expired():
                raise GatewayClosingError from None
            raise

    async def close(self, within_s: float) -> None:
        """Admit no more, interrupt all that are open, and wait until they have ended.

        Args:
            within_s: Seconds to wait; those that are stuck then are left to the server's end.
        """
        if not self._is_closing:
            self._is_closing = True
            now = asyncio.get_running_loop().time()
            for scope in tuple(self._scopes):
                scope.reschedule(now)
        try:
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        except TimeoutError:
            return


class OpenStreamsCollector(Collector):
    """How many long answers there are at the moment of asking."""

    def __init__(self, open_streams: OpenStreams) -> None:
        self._open_streams = open_streams

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        yield GaugeMetricFamily(
            "jetrun_http_streams", "Streams and waits that are open", len(self._open_streams)
        )
