"""The sink: every event of the log into the archive, exactly once, whatever dies.

Fetch, write, sync, acknowledge, in this order. An acknowledged event is on disk; one that was not
acknowledged comes again and is passed over if the archive has it. While one batch is written and
synced the next is being gathered.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from bridge import (
    BridgeError,
    ConsumerSpec,
    Consumption,
    Delivery,
    JetStreamBridge,
    Trimmer,
)
from store.archiver import Archiver
from store.errors import ArchiveLockedError, LogReplacedError, NewerArchiveError
from store.layout import ArchiveLayout
from store.lock import ArchiveLock
from store.settings import ArchiveSettings
from store.sink_monitor import SinkMonitor
from store.sink_status import CONSUMER, SinkStatus
from store.upkeep import Upkeep

_LOG = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.05


class Sink:
    """Writes one archive from one log.

    Any number of processes may run one on the same archive: one writes, the others wait for its
    end.

    Args:
        bridge: The log, open.
        root: The data directory; it is created when absent.
        settings: Sizes and times.
    """

    def __init__(self, bridge: JetStreamBridge, root: Path, settings: ArchiveSettings) -> None:
        self._bridge = bridge
        self._settings = settings
        self._layout = ArchiveLayout(root.absolute())
        self._lock = ArchiveLock(self._layout.lock)
        self._monitor = SinkMonitor(bridge, self._layout.root, settings.status_interval_s)
        self._pause_s = _FIRST_PAUSE_S
        self._is_behind = False

    async def run(self, stop: asyncio.Event) -> None:
        """Archive until ``stop`` is set, but for the time that it is paused; ends after a batch.

        Outages of the server and refusals of the disk are waited out, with pauses that grow to
        ``max_backoff_s``.

        Args:
            stop: Set it to end; what was fetched by then is still written and acknowledged.

        Raises:
            LogReplacedError: The log is not the one that the archive was written from.
            ArchiveMarkError: The archive's mark is damaged.
            BridgeError: The server refuses what the sink needs, and will go on refusing.
            NewerArchiveError: A file was written by a newer version; likewise for events.
        """
        self._layout.root.mkdir(parents=True, exist_ok=True)
        async with self._monitor.watching(stop):
            while await self._monitor.may_archive(stop):
                await self._take_turn(self._monitor.halted)

    def status(self) -> SinkStatus:
        """Return what this sink is doing; may be called from any thread."""
        return self._monitor.status()

    async def _take_turn(self, stop: asyncio.Event) -> None:
        """Archive until told to pause or to stop; the lock is free then."""
        if not await self._take_lock(stop):
            return
        try:
            archiver = Archiver(self._bridge, self._layout, self._settings)
            upkeep = Upkeep(archiver, self._bridge, self._layout, self._settings)
            self._monitor.begins()
            with closing(archiver):
                async with self._bridge.retention.letting_go(archiver), upkeep.going_on():
                    await self._survive_outages(archiver, stop)
        finally:
            self._monitor.ends()
            self._lock.release()
        _LOG.info("sink.stopped", extra={"reached_seq": archiver.reached_seq})

    async def _take_lock(self, stop: asyncio.Event) -> bool:
        waiting = False
        while not stop.is_set():
            try:
                self._lock.acquire()
            except ArchiveLockedError as error:
                if not waiting:
                    _LOG.info("sink.standby", extra={"reason": str(error)})
                waiting = True
                await _wait(stop, self._settings.standby_poll_s)
            else:
                return True
        return False

    async def _survive_outages(self, archiver: Archiver, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._archive(archiver, stop)
            except BridgeError as error:
                await self._back_off("sink.bridge.failed", error, stop)

    async def _archive(self, archiver: Archiver, stop: asyncio.Event) -> None:
        await self._check_log(archiver.reached_seq)
        spec = ConsumerSpec.checked(
            CONSUMER,
            ack_wait_s=self._settings.ack_wait_s,
            max_ack_pending=self._settings.max_ack_pending,
            max_deliver=None,
            is_kept=True,
        )
        async with self._bridge.open_consumer(spec) as consumer:
            _LOG.info("sink.ready", extra={"root": str(self._layout.root)})
            await self._write_what_comes(archiver, consumer, stop)

    async def _write_what_comes(
        self, archiver: Archiver, consumer: Consumption, stop: asyncio.Event
    ) -> None:
        trimmer = self._bridge.retention.trimmer(archiver)
        gathering = asyncio.create_task(self._gather(consumer), name="sink gather")
        try:
            while not stop.is_set():
                batch = await gathering
                gathering = asyncio.create_task(self._gather(consumer), name="sink gather")
                if await self._commit(archiver, batch, stop):
                    await _trim(trimmer, batch)
                if not batch:
                    await self._check_log_in_passing(archiver.reached_seq)
            await self._commit(archiver, await gathering, stop)
        finally:
            gathering.cancel()
            await asyncio.gather(gathering, return_exceptions=True)

    async def _check_log(self, reached_seq: int) -> None:
        log_seq = await self._bridge.last_sequence()
        if log_seq < reached_seq:
            raise LogReplacedError(self._layout.root, reached_seq, log_seq)

    async def _check_log_in_passing(self, reached_seq: int) -> None:
        # A server that comes back with an empty store hands out nothing, and no error either.
        with suppress(TimeoutError):  # it is away: looked at again after the next silence
            async with asyncio.timeout(self._settings.fetch_wait_s):
                await self._check_log(reached_seq)

    async def _gather(self, consumer: Consumption) -> list[Delivery]:
        """Fetch what comes within the flush interval after an event; all there is while behind.

        Those that come meanwhile are left with the server and fetched together: handed out one by
        one they cost this process, and the server, twice as much.
        """
        limit = self._settings.max_batch_events
        batch: list[Delivery] = []
        if not self._is_behind:
            batch = await consumer.fetch(1, wait_s=self._settings.fetch_wait_s)
            if not batch:
                return batch
            await asyncio.sleep(self._settings.flush_interval_s)
        if len(batch) < limit:
            batch += await consumer.fetch(limit - len(batch), wait_s=0)
        self._is_behind = len(batch) >= limit
        return batch

    async def _commit(
        self, archiver: Archiver, batch: Sequence[Delivery], stop: asyncio.Event
    ) -> bool:
        """Write, sync and acknowledge a batch, however long server or disk take to recover.

        Returns:
            Whether the archive has it; not when there was nothing, or it had to be given up.
        """
        if not batch:
            return False
        while True:
            try:
                await archiver.write([delivery.event for delivery in batch])
            except (BridgeError, OSError) as error:
                if stop.is_set():
                    _LOG.warning("sink.batch.abandoned", extra={"events": len(batch)})
                    return False
                await self._back_off("sink.write.failed", error, stop)
            else:
                self._pause_s = _FIRST_PAUSE_S
                self._monitor.wrote(len(batch), archiver.reached_seq)
                await self._acknowledge(batch)
                return True

    async def _acknowledge(self, batch: Sequence[Delivery]) -> None:
        try:
            for delivery in batch:
                await delivery.ack()
        except BridgeError as error:
            # The files have the events: they come again and are passed over.
            _LOG.warning("sink.ack.failed", extra={"error": str(error)})

    async def _back_off(self, what: str, error: BridgeError | OSError, stop: asyncio.Event) -> None:
        if isinstance(error, BridgeError | NewerArchiveError) and not error.retryable:
            raise error
        self._monitor.failed(error)
        _LOG.warning(what, extra={"error": str(error), "pause_s": self._pause_s})
        await _wait(stop, self._pause_s)
        self._pause_s = min(self._pause_s * 2, self._settings.max_backoff_s)


async def _trim(trimmer: Trimmer, batch: Sequence[Delivery]) -> None:
    try:
        await trimmer.note([delivery.event for delivery in batch])
    except (BridgeError, OSError) as error:
        # Nothing depends on it: the runs are cut after their next events.
        _LOG.warning("sink.trim.failed", extra={"error": str(error)})


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


if __name__ == "__main__":
    from store.process import main  # the process is made from this module

    main()
