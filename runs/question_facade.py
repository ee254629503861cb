"""What a gateway calls: the questions of runs that wait for their user."""

from bridge import StreamNotFoundError, check_id
from runs.search_facade import SearchFacade
from runs.thread import Question


class QuestionsFacade(SearchFacade):
    """Questions for the callers of one process."""

    async def find_question(self, thread_id: str, run_id: str) -> Question | None:
        """Return what a run asks its user and waits for; ``None`` when it does not wait."""
        found = await self._manager.records.find_thread(thread_id)
        if found is None or found.record.find_active(run_id) is None:
            return None
        return found.record.question

    async def find_place_of_question(self, thread_id: str) -> str | None:
        """Return the id of the newest event of the run that waits for its user on a thread.

        Whoever answers goes on reading after it.
        """
        found = await self._manager.records.find_thread(check_id("thread_id", thread_id))
        if found is None or found.record.active is None or found.record.question is None:
            return None
        try:
            return (await self._bridge.status(found.record.active.run_id)).last_id
        except StreamNotFoundError:
            return None
