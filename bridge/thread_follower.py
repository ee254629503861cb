"""Follow all runs of a thread in the order of the log, without a consumer.

What is yielded comes from the log alone. A core subscription on the live subjects of the thread,
shared by all who follow it in this process, only tells that there is something to read; the run
after this one is noticed in the same way. After silence the leader is asked, once for all.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from nats.aio.msg import Msg

from bridge import wire
from bridge.connection import Connection
from bridge.errors import BridgeClosedError, UnavailableError
from bridge.event_log import EventLog
from bridge.events import StreamEvent
from bridge.shared_feed import SharedFeed, joining
from bridge.subjects import Subjects


class Watcher:
    """What one follower of a thread has heard: how far the log reaches, never what it says."""

    def __init__(self) -> None:
        self._heard = 0
        self._is_stale = False
        self._wake = asyncio.Event()
        self.is_closed = False

    def hear(self, seq: int) -> None:
        """Note that there is an event at a sequence."""
        self._heard = max(self._heard, seq)
        self._wake.set()

    def mark_stale(self) -> None:
        """Note that something may have been missed."""
        self._is_stale = True
        self._wake.set()

    def close(self) -> None:
        """Say that nothing will be heard any more."""
        self.is_closed = True
        self._wake.set()

    def take(self) -> int:
        """Return the newest sequence that was heard of, and begin to listen anew."""
        self._is_stale = False
        self._wake.clear()
        return self._heard

    async def wait(self, position: int, timeout_s: float) -> bool:
        """Wait for an event beyond a position; ``False`` after ``timeout_s`` seconds without."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not (self.is_closed or self._is_stale or self._heard > position):
                    self._wake.clear()
                    await self._wake.wait()
                return True
        return False


class ThreadTail(SharedFeed[Watcher, None]):
    """The live subjects of one thread, heard once for all who follow it in this process."""

    def __init__(self, connection: Connection, subject: str, log: EventLog, thread_id: str) -> None:
        super().__init__(connection, subject)
        self._log = log
        self._thread_id = thread_id

    def _on_message(self, message: Msg) -> None:
        if message.reply and not message.data:
            return  # somebody asks the server whether a run is read
        try:
            seq = int((message.headers or {})[wire.STREAM_SEQUENCE])
        except (KeyError, ValueError):
            self.mark_stale()  # the log will say what is wrong
            return
        for watcher in self.readers:
            watcher.hear(seq)

    def mark_stale(self) -> None:
        """Send every follower to the log."""
        for watcher in self.readers:
            watcher.mark_stale()

    async def _ask(self) -> None:
        """Let the followers hear what the leader knows."""
        if not await self._connection.wait_connected(0):
            return
        with suppress(UnavailableError):
            newest = await self._log.find_last_of_thread(self._thread_id)
            if newest is not None:
                for watcher in self.readers:
                    watcher.hear(newest.event_id.stream_seq)


class ThreadTails:
    """The threads that are followed in this process, counted by reference."""

    def __init__(self, connection: Connection, subjects: Subjects, log: EventLog) -> None:
        self._connection = connection
        self._subjects = subjects
        self._log = log
        self._tails: dict[str, ThreadTail] = {}
        connection.add_listener(self._mark_stale)

    @asynccontextmanager
    async def join(self, thread_id: str) -> AsyncGenerator[tuple[ThreadTail, Watcher]]:
        """Listen to a thread for the length of a context.

        Raises:
            UnavailableError: The server did not take the subscription.
        """

        def make() -> ThreadTail:
            subject = self._subjects.thread_live(thread_id)
            return ThreadTail(self._connection, subject, self._log, thread_id)

        watcher = Watcher()
        async with joining(self._tails, thread_id, make, watcher) as tail:
            yield tail, watcher

    @property
    def total(self) -> int:
        """How many follow any thread in this process."""
        return sum(len(tail.readers) for tail in tuple(self._tails.values()))

    def close(self) -> None:
        """Tell every follower that the bridge closes."""
        self._connection.remove_listener(self._mark_stale)
        for tail in self._tails.values():
            for watcher in tail.readers:
                watcher.close()

    def _mark_stale(self) -> None:
        for tail in self._tails.values():
            tail.mark_stale()


class ThreadFollower:
    """One reader of a thread. It keeps nothing that outlives its context.

    Args:
        log: The events of all runs.
        thread_id: The thread.
        tail: Tells of new events.
        watcher: This reader's place at it.
        heartbeat_s: Seconds of silence after which the leader is asked.
    """

    def __init__(
        self,
        log: EventLog,
        thread_id: str,
        tail: ThreadTail,
        watcher: Watcher,
        heartbeat_s: float,
    ) -> None:
        self._log = log
        self._thread_id = thread_id
        self._tail = tail
        self._watcher = watcher
        self._heartbeat_s = heartbeat_s

    async def find(self, seq: int) -> StreamEvent | None:
        """Return the thread's event at a sequence; ``None`` when it is none of its, or is gone."""
        found = await self._log.find_next_of_thread(self._thread_id, seq)
        return found if found is not None and found.event_id.stream_seq == seq else None

    async def oldest(self) -> StreamEvent | None:
        """Return the oldest event of the thread that the log holds."""
        return await self._log.find_next_of_thread(self._thread_id, 0)

    async def newest(self) -> StreamEvent | None:
        """Return the thread's newest event; ``None`` when the log holds none."""
        return await self._log.find_last_of_thread(self._thread_id)

    async def wait(self, position: int, timeout_s: float) -> bool:
        """Return whether an event beyond a position is heard of within ``timeout_s`` seconds."""
        return await self._watcher.wait(position, timeout_s)

    async def batches(self, after: int) -> AsyncIterator[list[StreamEvent]]:
        """Yield the thread's events above a sequence, in order, until the bridge closes.

        What has left the log is passed over; the numbers of a run's events show that.

        Raises:
            UnavailableError: The server fell silent; open the thread again at the last sequence.
            ForeignMessageError: The next message is no event that this version reads.
            BridgeClosedError: The bridge was closed.
        """
        position = after
        while not self._watcher.is_closed:
            heard = self._watcher.take()
            events, is_complete = await self._log.read_thread(self._thread_id, position + 1)
            if events:
                position = events[-1].event_id.stream_seq
                yield events
            # A replica that lags may call complete what it does not have yet.
            if is_complete and (not events or position >= heard):
                reached = max(position, heard)
                while not await self._watcher.wait(reached, self._heartbeat_s):
                    await self._tail.look()
        raise BridgeClosedError
