"""What a gateway calls: the questions of runs that wait for their user."""

from bridge import StreamNotFoundError, check_id
from runs.search_facade import SearchFacade
from runs.thread import Question


class QuestionsFacade(SearchFacade):
    """Questions for the callers of one process."""

    async def find_question(
        self, thread_id: str, run_id: str, *, user_id: str | None = None
    ) -> Question | None:
        """Return what a run asks and waits for; ``None`` if nothing, or it is someone else's."""
        found = await self._manager.records.find_thread(thread_id)
        if found is None or found.record.find_active(run_id) is None:
            return None
        if user_id not in (None, found.record.user_id):
            return None
        return found.record.question

    async def find_place_of_question(
        self, thread_id: str, *, user_id: str | None = None
    ) -> str | None:
        """Return the id of the newest event of the run that waits for its user on a thread.

        Whoever answers goes on reading after it. Another user's thread has none.
        """
        found = await self._manager.records.find_thread(check_id("thread_id", thread_id))
        if found is None or found.record.active is None or found.record.question is None:
            return None
        if user_id not in (None, found.record.user_id):
            return None
        try:
            return (await self._bridge.status(found.record.active.run_id)).last_id
        except StreamNotFoundError:
            return None
