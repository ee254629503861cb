"""What a gateway calls to find threads and runs, and to list them in pages."""

from typing import NamedTuple

from runs.models import RunRecord, RunStatus
from runs.read_model import RunQuery, ThreadQuery
from runs.thread import ThreadRecord
from runs.thread_facade import ThreadsFacade


class ThreadPage(NamedTuple):
    """One page of threads, in order, and how many there are on all pages."""

    threads: list[ThreadRecord]
    total: int


class RunPage(NamedTuple):
    """One page of runs, in order, and how many there are on all pages."""

    runs: list[RunRecord]
    total: int


class SearchFacade(ThreadsFacade):
    """Pages of threads and runs for the callers of one process."""

    async def search_threads(
        self, query: ThreadQuery, *, limit: int = 10, offset: int = 0
    ) -> ThreadPage:
        """Return one page of the threads that fit, each as it is now.

        Every write that returned before the call is seen, whichever process made it. A thread that
        is deleted in the same moment is left out of the page.

        Args:
            query: Which threads, in which order; its ``user_id`` is who asks.
            limit: At most so many; 0 gives none.
            offset: How many of the first are left out.

        Raises:
            ReadModelBehindError: The search is not possible yet; ask again.
            ReadModelUnavailableError: The search is not possible; ask again.
            UnavailableError: The server fell silent.
        """
        found = await self._model.find_threads(query, limit=limit, offset=offset)
        threads = await self._manager.records.read_threads(found.rows)
        return ThreadPage([each for each in threads if not each.deleting], found.total)

    async def count_threads(self, query: ThreadQuery) -> int:
        """Return how many threads fit; see :meth:`search_threads`.

        Raises:
            RunsError, BridgeError: As for a search.
        """
        return (await self._model.find_threads(query, limit=0)).total

    async def list_runs(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        offset: int = 0,
        status: RunStatus | None = None,
        user_id: str | None = None,
    ) -> list[RunRecord]:
        """Return the runs of a thread, newest first.

        Args:
            thread_id: The thread.
            limit: At most so many; 0 gives none.
            offset: How many of the newest are left out.
            status: Only those with this status; ``None`` means all.
            user_id: Who asks; ``None`` may see every thread.

        Raises:
            ThreadNotFoundError: There is no such thread, or it is someone else's.
            RunsError, BridgeError: As for :meth:`search_runs`.
        """
        await self.get_thread(thread_id, user_id=user_id)
        statuses = None if status is None else (status,)
        query = RunQuery(thread_id=thread_id, statuses=statuses, user_id=user_id)
        return (await self.search_runs(query, limit=limit, offset=offset)).runs

    async def search_runs(self, query: RunQuery, *, limit: int = 10, offset: int = 0) -> RunPage:
        """Return one page of the runs that fit, of all threads, each as it is now.

        Every write that returned before the call is seen, whichever process made it. A run that is
        removed in the same moment is left out of the page.

        Args:
            query: Which runs, in which order; its ``user_id`` is who asks.
            limit: At most so many; 0 gives none.
            offset: How many of the first are left out.

        Raises:
            ReadModelBehindError: The search is not possible yet; ask again.
            ReadModelUnavailableError: The search is not possible; ask again.
            UnavailableError: The server fell silent.
        """
        found = await self._model.find_runs(query, limit=limit, offset=offset)
        return RunPage(await self._manager.records.read_runs(found.rows), found.total)

    async def count_runs(self, query: RunQuery) -> int:
        """Return how many runs fit; see :meth:`search_runs`.

        Raises:
            RunsError, BridgeError: As for a search.
        """
        return (await self._model.find_runs(query, limit=0)).total

    async def tally_runs(self, query: RunQuery) -> dict[RunStatus, int]:
        """Return how many runs fit, by their status; a status that none has counts 0.

        Raises:
            RunsError, BridgeError: As for a search.
        """
        found = await self._model.tally_runs(query)
        return {status: found.get(status.value, 0) for status in RunStatus}
