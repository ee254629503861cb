"""The archive as a follower reads it: events again, page by page, outside of the event loop."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bridge import ColdTierError, RunRef, StreamEvent
from store.reader import ArchiveReader

#: Payload bytes above which a page is closed; one event may exceed it.
_MAX_PAGE_BYTES: Final = 4 << 20


class ArchiveColdTier:
    """Reads events from the files of one archive; see :class:`bridge.ColdTier`.

    Nothing has to run for it: files that do not exist hold no events.

    Args:
        root: The data directory.
    """

    def __init__(self, root: Path) -> None:
        self._reader = ArchiveReader(root)

    async def read(self, run: RunRef, *, after_run_seq: int, limit: int) -> Sequence[StreamEvent]:
        """Return the next archived events after a number of the run, at most 4 MiB or one."""
        try:
            return await asyncio.to_thread(self._read, run, after_run_seq, limit)
        except OSError as error:
            raise ColdTierError(run.run_id, error.strerror or str(error)) from error

    async def find_last(self, run: RunRef) -> StreamEvent | None:
        """Return the newest archived event; ``None`` when there is none."""
        try:
            return await asyncio.to_thread(self._reader.find_last_event, run)
        except OSError as error:
            raise ColdTierError(run.run_id, error.strerror or str(error)) from error

    def _read(self, run: RunRef, after_run_seq: int, limit: int) -> list[StreamEvent]:
        page: list[StreamEvent] = []
        size = 0
        for event in self._reader.read_events(run, after_run_seq=after_run_seq):
            page.append(event)
            size += len(event.payload)
            if len(page) >= limit or size >= _MAX_PAGE_BYTES:
                break
        return page
