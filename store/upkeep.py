"""What the sink does beside writing: compress ended runs, let the oldest go, erase deleted ones.

A run that goes on is never touched, nor is one of which the log holds an event that the archive
does not, nor a file that cannot be read. Of a run that goes, the line that says how it ended stays
first, so that whoever asks is told of a gap; that goes as well when it is old itself and the log
has forgotten the run.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol, TypeVar

from bridge import BridgeError, EventId, RunRef, StreamEvent
from bridge.beside import beside
from bridge.events import DELETED
from store.archiver import Archiver, History
from store.errors import DamagedFileError
from store.inventory import RunOnDisk, take_inventory
from store.layout import ArchiveLayout
from store.placing import deletion_of
from store.reader import ArchiveReader
from store.run_forms import write_draft
from store.settings import ArchiveSettings

_LOG = logging.getLogger(__name__)

_R = TypeVar("_R")


class Log(History, Protocol):
    """What the upkeep asks of the log."""

    async def is_deleted(self, run_id: str) -> bool:
        """Whether a run was deleted."""

    async def is_logged(self, run: RunRef) -> bool:
        """Whether the log holds any event of a run."""


class Upkeep:
    """Goes over the archive round after round, beside the writing of it.

    Args:
        archiver: Holds the archive; whatever changes a file goes through it.
        log: The log.
        layout: The archive.
        settings: When runs are compressed and let go.
    """

    def __init__(
        self,
        archiver: Archiver,
        log: Log,
        layout: ArchiveLayout,
        settings: ArchiveSettings,
    ) -> None:
        self._archiver = archiver
        self._log = log
        self._layout = layout
        self._settings = settings
        self._reader = ArchiveReader(layout.root)
        self._thread = ThreadPoolExecutor(1, "archive-upkeep")
        self._is_over = False

    @asynccontextmanager
    async def going_on(self) -> AsyncGenerator[None]:
        """Do so for the length of a context; leaving waits until no file is being made."""
        try:
            async with beside(self._go_on(), "archive upkeep"):
                try:
                    yield
                finally:
                    self._is_over = True
        finally:
            await asyncio.to_thread(self._thread.shutdown)

    async def _go_on(self) -> None:
        is_first = True
        while True:
            await asyncio.sleep(self._settings.upkeep_interval_s)
            try:
                if is_first:
                    await self.erase_deleted()
                    is_first = False
                await self.go_round()
            except (BridgeError, OSError) as error:
                # Nothing depends on it: the next round does what this one has not.
                _LOG.warning("archive.upkeep.failed", extra={"error": str(error)})

    async def erase_deleted(self) -> None:
        """Erase runs whose deletion no sink has heard of, because none was there for so long.

        Asks the log once for each run that has a file; errors as for :meth:`go_round`.
        """
        for thread_id in await self._aside(self._layout.thread_ids):
            for run in await self._aside(partial(self._layout.runs, thread_id)):
                if await self._log.is_deleted(run.run_id):
                    await self._erase(run)

    async def _erase(self, run: RunRef) -> None:
        last = await self._last_event(run)
        if last is None or last.event == DELETED:
            return
        stream_seq, run_seq = last.event_id
        await self._archiver.write([deletion_of(run, EventId(stream_seq + 1, run_seq + 1))])
        _LOG.info("archive.erased", extra={"run_id": run.run_id})

    async def go_round(self) -> None:
        """Look at all files once, and do what is due.

        Raises:
            OSError: The disk refused; what was done stays done.
            BridgeError: The log fell silent; likewise.
        """
        found = await self._aside(
            lambda: take_inventory(self._layout, self._settings, lambda: not self._is_over)
        )
        for run in found.quiet:
            await self._compress(run)
        left_bytes = found.size_bytes
        for file in found.oldest:
            if self._is_due(file, left_bytes) and await self._let_go(file.run):
                left_bytes -= file.size_bytes

    def _is_due(self, file: RunOnDisk, left_bytes: int) -> bool:
        max_age_s, max_bytes = self._settings.max_age_s, self._settings.max_bytes
        is_old = max_age_s is not None and file.written_at < time.time() - max_age_s
        return is_old or (max_bytes is not None and left_bytes > max_bytes)

    async def _compress(self, run: RunRef) -> None:
        last = await self._last_event(run)
        if last is None or not last.is_terminal:
            return
        size = await self._aside(lambda: write_draft(self._layout, run, lambda: not self._is_over))
        if size is not None and await self._archiver.adopt_compressed(run, size):
            _LOG.debug("archive.compressed", extra={"run_id": run.run_id, "bytes": size})

    async def _let_go(self, run: RunRef) -> bool:
        last = await self._last_event(run)
        if last is None or not last.is_terminal:
            return False
        later = await self._log.read_after(
            run, last.run_seq, stream_seq=last.event_id.stream_seq, limit=1
        )
        if later:  # the sink will write it
            return False
        if await self._archiver.keep_end(run):
            _LOG.info("archive.let_go", extra={"run_id": run.run_id, "events": last.run_seq})
            return True
        if await self._log.is_logged(run):
            return False
        await self._archiver.forget(run)
        return True

    async def _last_event(self, run: RunRef) -> StreamEvent | None:
        try:
            return await self._aside(lambda: self._reader.find_last_event(run))
        except DamagedFileError as error:
            # It stays for whoever repairs it, and must not keep other files from what is due.
            _LOG.warning("archive.file.damaged", extra={"error": str(error)})
            return None

    async def _aside(self, work: Callable[[], _R]) -> _R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
