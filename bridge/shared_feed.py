"""A core subscription that all readers of one subject share, and one look at the leader for all.

It is there as long as it has readers. Whoever has joined can count on the server to know of it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Generic, TypeVar

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bridge.connection import Connection
from bridge.replies import SilenceError

#: Looks at the log that readers of one feed ask for within this time share one answer.
_LOOK_SHARED_S: Final = 1.0

Reader = TypeVar("Reader")
Found = TypeVar("Found")
Key = TypeVar("Key")
Feed = TypeVar("Feed", bound="SharedFeed[Any, Any]")


class SharedFeed(ABC, Generic[Reader, Found]):
    """One subject, heard once for all its readers.

    Args:
        connection: An open connection.
        subject: May hold wildcards.

    Attributes:
        readers: Who reads it.
    """

    def __init__(self, connection: Connection, subject: str) -> None:
        self._connection = connection
        self._subject = subject
        self._opening: asyncio.Task[Subscription] | None = None
        self._look: asyncio.Task[Found] | None = None
        self._looked_at = float("-inf")
        self.readers: set[Reader] = set()

    @abstractmethod
    def _on_message(self, message: Msg) -> None:
        """Tell the readers; must neither wait nor raise, see :meth:`Connection.listen`."""

    @abstractmethod
    async def _ask(self) -> Found:
        """Ask the leader for what the readers may have missed."""

    def begin(self) -> "asyncio.Task[Subscription]":
        """Ask the server for the subscription, unless that was done; return what comes of it."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return self._opening

    async def ready(self) -> None:
        """Wait until the server knows of the subscription.

        Raises:
            UnavailableError: It did not answer within the outage budget.
        """
        await asyncio.shield(self.begin())

    async def _open(self) -> Subscription:
        outage = self._connection.outage(f"subscribing {self._subject}")
        subscription = await self._connection.listen(self._subject, self._on_message)
        try:
            while True:
                try:
                    await self._connection.flush()
                except SilenceError:
                    await outage.wait()
                else:
                    return subscription
        except BaseException:
            # Noted by nats-py, it would be made anew at each reconnect, for nobody.
            await self._connection.unsubscribe(subscription)
            raise

    async def close(self) -> None:
        """Drop the subscription."""
        if self._look is not None:
            self._look.cancel()
        opening = self._opening
        if opening is None or opening.cancel():
            return  # what was not ready drops it by itself
        if not opening.cancelled() and opening.exception() is None:
            await self._connection.unsubscribe(opening.result())

    async def look(self, since: float = float("-inf")) -> Found:
        """Return what the leader knows; shared by readers that ask at once.

        Args:
            since: The loop's time from which on the answer must be.
        """
        now = asyncio.get_running_loop().time()
        look, age_s = self._look, now - self._looked_at
        if look is None or self._looked_at < since or (look.done() and age_s > _LOOK_SHARED_S):
            self._looked_at = now
            look = self._look = asyncio.create_task(self._ask())
        return await asyncio.shield(look)


@asynccontextmanager
async def joining(
    feeds: dict[Key, Feed], key: Key, make: Callable[[], Feed], reader: object
) -> AsyncGenerator[Feed]:
    """Read a feed for the length of a context; the first reader makes it, the last one closes it.

    Args:
        feeds: Those of this process.
        key: Which one.
        make: Makes it when nobody reads it yet.
        reader: Who reads it.

    Raises:
        UnavailableError: The server did not take the subscription.
    """
    feed = feeds.get(key)
    if feed is None:
        feed = feeds[key] = make()
    feed.readers.add(reader)
    try:
        await feed.ready()
        yield feed
    finally:
        await leave(feeds, key, feed, reader)


async def leave(feeds: dict[Key, Feed], key: Key, feed: Feed, reader: object) -> None:
    """Read a feed no longer; the last one closes it."""
    feed.readers.discard(reader)
    if not feed.readers and feeds.get(key) is feed:
        del feeds[key]
        await feed.close()
