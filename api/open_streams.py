"""The long answers of this process: how many there may be, and how each of them ends in order.

The body of a long answer runs inside :meth:`OpenStreams.admit`. When the gateway closes, or the
credential of its caller ends, the body is interrupted where it waits, and it only waits between
whole events.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.auth.caller import Caller
from api.auth.errors import CredentialEndedError
from api.errors import GatewayClosingError, TooManyStreamsError
from api.limits.errors import TooManyUserStreamsError

#: No credential keeps a stream open for longer: clocks and timers need a bound.
_MAX_OPEN_S: Final = 86_400.0 * 366


class OpenStreams:
    """Counts long answers, bounds them, and ends them.

    Args:
        max_streams: How many there may be at one time.
        max_per_user: How many of them may be one user's.
    """

    def __init__(self, max_streams: int, max_per_user: int) -> None:
        self._max_streams = max_streams
        self._max_per_user = max_per_user
        self._callers: dict[asyncio.Timeout, Caller] = {}
        self._of_users: Counter[str | None] = Counter()
        self._is_closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._callers)

    @property
    def is_closing(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._is_closing

    @property
    def callers(self) -> list[Caller]:
        """Who has streams open; one for each of them."""
        return list(self._callers.values())

    def check_room(self, caller: Caller) -> None:
        """Refuse early, before anything is created for an answer that cannot be given.

        Args:
            caller: Whose answer it would be.

        Raises:
            TooManyStreamsError: As many are open as there may be.
            TooManyUserStreamsError: As many are this user's as may be.
            GatewayClosingError: The gateway is about to end.
        """
        if self._is_closing:
            raise GatewayClosingError
        if len(self._callers) >= self._max_streams:
            raise TooManyStreamsError(self._max_streams)
        user_id = caller.sees
        if user_id is not None and self._of_users[user_id] >= self._max_per_user:
            raise TooManyUserStreamsError(self._max_per_user)

    @asynccontextmanager
    async def admit(self, caller: Caller) -> AsyncGenerator[None]:
        """Hold a place for one long answer.

        Args:
            caller: Whose answer it is; operators have as many as there may be.

        Raises:
            TooManyStreamsError, TooManyUserStreamsError: On entering: there is no place.
            GatewayClosingError: On entering, or while the body waits: the gateway is about to end.
            CredentialEndedError: While the body waits: the caller may not go on with it.
        """
        self.check_room(caller)
        scope = asyncio.timeout(_seconds_left(caller))
        try:
            async with scope:
                self._enter(scope, caller)
                try:
                    yield
                finally:
                    self._leave(scope, caller)
        except TimeoutError:
            if scope.expired():
                raise (GatewayClosingError if self._is_closing else CredentialEndedError) from None
            raise

    def end_of(self, caller: Caller) -> None:
        """Interrupt the long answers of one caller, as its credential is good no more."""
        for scope, each in tuple(self._callers.items()):
            if each is caller:
                _interrupt(scope)

    async def close(self, within_s: float) -> None:
        """Admit no more, interrupt all that are open, and wait until they have ended.

        Args:
            within_s: Seconds to wait; those that are stuck then are left to the server's end.
        """
        if not self._is_closing:
            self._is_closing = True
            for scope in tuple(self._callers):
                _interrupt(scope)
        try:
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        except TimeoutError:
            return

    def _enter(self, scope: asyncio.Timeout, caller: Caller) -> None:
        self._callers[scope] = caller
        self._of_users[caller.sees] += 1
        self._empty.clear()

    def _leave(self, scope: asyncio.Timeout, caller: Caller) -> None:
        del self._callers[scope]
        self._of_users[caller.sees] -= 1
        if not self._of_users[caller.sees]:
            del self._of_users[caller.sees]
        if not self._callers:
            self._empty.set()


def _seconds_left(caller: Caller) -> float | None:
    if caller.good_until is None:
        return None
    return min(max(0.0, caller.good_until - time.time()), _MAX_OPEN_S)


def _interrupt(scope: asyncio.Timeout) -> None:
    if not scope.expired():
        scope.reschedule(asyncio.get_running_loop().time())


class OpenStreamsCollector(Collector):
    """How many long answers there are at the moment of asking."""

    def __init__(self, open_streams: OpenStreams) -> None:
        self._open_streams = open_streams

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        yield GaugeMetricFamily(
            "jetrun_http_streams", "Streams and waits that are open", len(self._open_streams)
        )
