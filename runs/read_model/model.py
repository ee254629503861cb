"""Search threads and runs in a copy of their records that every query first brings up to date.

A query asks the leader how far the records have come and waits until the copy has come as far, so
it sees every write that returned before it, by whichever process. The copy is never the truth: it
is thrown away and read again when it is damaged or belongs to another stream.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Final

from bridge import BridgeError, StateChange, StateFeed, StatePosition
from bridge.beside import beside
from runs.errors import ReadModelBehindError, ReadModelUnavailableError, RunsError
from runs.read_model import selection
from runs.read_model.database import Database, Result, Work
from runs.read_model.expired import expired_runs, expired_threads
from runs.read_model.projection import apply, position
from runs.read_model.queries import Expired, Found, RunQuery, ThreadLimits, ThreadQuery
from runs.read_model.slot import Slot
from runs.settings import ReadModelSettings

_LOG = logging.getLogger("jetrun.read_model")

#: A leader that was just deposed may answer with less than is known already; for no longer.
_DOUBT_S: Final = 0.5
#: The first may join a reading that began before; the second begins after the question.
_ROUNDS: Final = 2


class ReadModel:
    """The tables of one process. They are read from the stream when the first query comes.

    Args:
        feed: The changes of all records.
        path: The file that keeps the tables, this process's alone; ``None`` keeps them in memory.
        settings: How long a query waits, and how much is read at one time.
    """

    def __init__(
        self, feed: StateFeed, path: Path | None = None, settings: ReadModelSettings | None = None
    ) -> None:
        self._feed = feed
        self._settings = settings or ReadModelSettings()
        self._database = Database(path, max_readers=self._settings.max_readers)
        # None: the tables have to be asked.
        self._known: StatePosition | None = None
        self._reading: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop reading, and close the tables."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await self._database.close()

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[None]:
        """Keep up with the stream for the length of a context, so that queries need not wait."""
        async with beside(self._follow(), "read model"):
            yield

    async def _follow(self) -> None:
        told = ""
        while True:
            try:
                await self._read_on_together()
                told = ""
            except (BridgeError, RunsError) as error:
                if str(error) != told:  # a full disk is said once, not twice a second
                    told = str(error)
                    _LOG.warning("read_model.behind", extra={"error": told})
            await asyncio.sleep(self._settings.poll_s)

    async def find_threads(self, query: ThreadQuery, *, limit: int, offset: int = 0) -> Found:
        """Return one page of the threads that are wanted, and how many there are.

        Raises:
            ReadModelBehindError: The tables did not catch up in time; ask again.
            ReadModelUnavailableError: The tables cannot be used; where they can be mended, the
                next query finds them so.
            UnavailableError: The server fell silent.
        """
        span = slice(offset, offset + limit)
        return await self._ask(partial(selection.find_threads, query=query, span=span))

    async def find_runs(self, query: RunQuery, *, limit: int, offset: int = 0) -> Found:
        """Return one page of the runs that are wanted, and how many there are.

        Raises:
            RunsError, BridgeError: As for :meth:`find_threads`.
        """
        span = slice(offset, offset + limit)
        return await self._ask(partial(selection.find_runs, query=query, span=span))

    async def tally_runs(self, query: RunQuery) -> dict[str, int]:
        """Count the runs that are wanted by their status; one that none has is left out.

        Raises:
            RunsError, BridgeError: As for :meth:`find_threads`.
        """
        return await self._ask(partial(selection.tally_runs, query=query))

    async def inflight_threads(self, user_id: str | None) -> list[str]:
        """Return the threads of a user, or of all, that have runs under way.

        Raises:
            RunsError, BridgeError: As for :meth:`find_threads`.
        """
        return await self._ask(partial(selection.inflight_threads, user_id=user_id))

    async def expired_runs(
        self, *, ttl_s: float | None, max_runs: int | None, limit: int
    ) -> list[Expired]:
        """Return ended runs whose time is over, those that ended first before others.

        Raises:
            RunsError, BridgeError: As for :meth:`find_threads`.
        """
        work = partial(expired_runs, ttl_s=ttl_s, max_runs=max_runs, limit=limit)
        return await self._ask(work)

    async def expired_threads(self, limits: ThreadLimits, *, limit: int) -> list[Expired]:
        """Return threads at rest whose time is over, those that rest longest before others.

        Raises:
            RunsError, BridgeError: As for :meth:`find_threads`.
        """
        return await self._ask(partial(expired_threads, limits=limits, limit=limit))

    async def _ask(self, work: Work[Result]) -> Result:
        wait_s = self._settings.wait_s
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    newest = await self._feed.newest()
                    for _ in range(_ROUNDS):
                        if not _covers(self._known, newest):
                            await self._read_on_together()
                    # The tables may have started over since.
                    answer = await self._database.read(partial(_if_covered, newest, work))
                    if answer is not None:
                        return answer[0]
                    self._known = None
        except ReadModelUnavailableError:
            self._known = None
            raise
        except TimeoutError as error:
            raise ReadModelBehindError(wait_s) from error

    async def _read_on_together(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_on())
            self._reading.add_done_callback(_ask_outcome)
        # The reading belongs to all who wait for it: one who leaves must not stop it.
        await asyncio.shield(self._reading)

    async def _read_on(self) -> None:
        try:
            known = self._known or StatePosition(*await self._database.write(position))
            newest = await self._newest(known)
            if newest.stream != known.stream or newest.seq < known.seq:
                _LOG.info("read_model.started_over", extra={"known": known.seq})
                await self._database.start_over()
                known = await self._write(StatePosition(newest.stream, 0), (), 0)
            await self._read_pages(known, newest.seq)
        except ReadModelUnavailableError:
            self._known = None
            raise

    async def _newest(self, known: StatePosition) -> StatePosition:
        newest = await self._feed.newest()
        if newest.stream == known.stream and newest.seq < known.seq:
            await asyncio.sleep(_DOUBT_S)
            newest = await self._feed.newest()
        return newest

    async def _read_pages(self, known: StatePosition, until: int) -> None:
        page = await self._feed.read(known.seq)
        while page:
            reached = page[-1].revision
            if reached < until:
                known, page = await asyncio.gather(
                    self._write(known, page, reached), self._feed.read(reached)
                )
            else:
                known, page = await self._write(known, page, reached), ()
        if known.seq < until:  # what stood behind it is removed
            known = await self._write(known, (), until)
        self._known = known

    async def _write(
        self, known: StatePosition, page: Sequence[StateChange], reached: int
    ) -> StatePosition:
        wanted = StatePosition(known.stream, reached)
        await self._database.write(partial(apply, after=known, changes=page, reached=wanted))
        self._known = wanted
        return wanted


@asynccontextmanager
async def open_read_model(
    feed: StateFeed, directory: Path, settings: ReadModelSettings
) -> AsyncGenerator[ReadModel]:
    """Keep a read model in a file of ``directory`` and up to date, for the length of a context.

    A process that is started again goes on with the file of the one before.

    Args:
        feed: The changes of all records.
        directory: On a disk of this machine; any number of processes may share it.
        settings: How long a query waits, and how much is read at one time.

    Raises:
        ReadModelUnavailableError: The directory cannot be used.
    """
    slot = Slot(directory)
    model = ReadModel(feed, slot.path, settings)
    try:
        async with model.following():
            yield model
    finally:
        await model.close()
        slot.release()


def _covers(known: StatePosition | None, newest: StatePosition) -> bool:
    return known is not None and known.stream == newest.stream and known.seq >= newest.seq


def _if_covered(
    newest: StatePosition, work: Work[Result], connection: Connection
) -> tuple[Result] | None:
    """Return what ``work`` returns, alone; ``None`` when the tables have not come so far."""
    if not _covers(StatePosition(*position(connection)), newest):
        return None
    return (work(connection),)


def _ask_outcome(reading: asyncio.Task[None]) -> None:
    if not reading.cancelled():
        reading.exception()  # whoever waited may have left
