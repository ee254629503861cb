"""The long answers of this process: how many there may be, and how all of them end in order.

The body of a long answer runs inside :meth:`OpenStreams.admit`. When the gateway closes, each body
is interrupted where it waits, and it only waits between whole events.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from api.auth.caller import Caller
from api.errors import GatewayClosingError, TooManyStreamsError
from api.limits.errors import TooManyUserStreamsError


class OpenStreams:
    """Counts long answers, bounds them, and ends them.

    Args:
        max_streams: How many there may be at one time.
        max_per_user: How many of them may be one user's.
    """

    def __init__(self, max_streams: int, max_per_user: int) -> None:
        self._max_streams = max_streams
        self._max_per_user = max_per_user
        self._of_users: Counter[str | None] = Counter()
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
        if len(self._scopes) >= self._max_streams:
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
        """
        self.check_room(caller)
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._enter(scope, caller)
                try:
                    yield
                finally:
                    self._leave(scope, caller)
        except TimeoutError:
            if scope.expired():
                raise GatewayClosingError from None
            raise

    def _enter(self, scope: asyncio.Timeout, caller: Caller) -> None:
        self._scopes.add(scope)
        self._of_users[caller.sees] += 1
        self._empty.clear()

    def _leave(self, scope: asyncio.Timeout, caller: Caller) -> None:
        self._scopes.discard(scope)
        self._of_users[caller.sees] -= 1
        if not self._of_users[caller.sees]:
            del self._of_users[caller.sees]
        if not self._scopes:
            self._empty.set()

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
