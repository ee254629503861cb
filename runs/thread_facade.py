"""What a gateway calls: threads as their users see them."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from bridge import RunBridge, check_id
from runs.admission import new_thread
from runs.crons.crons import Crons
from runs.errors import OutputsNotFoundError, ThreadExistsError
from runs.manager import RunManager
from runs.read_model import ReadModel
from runs.thread import ThreadRecord
from runs.time_to_live import TimeToLive


class ThreadState(NamedTuple):
    """A thread and the final values of its last successful run.

    Attributes:
        values: What that run returned; ``None`` while there is no such run.
        event_id: The event that carries them.
    """

    thread: ThreadRecord
    values: Any
    event_id: str | None


class ThreadsFacade:
    """Threads for the callers of one process.

    Args:
        manager: Decides and stores.
        bridge: Reads final values.
        model: Finds threads and runs; ``None`` keeps one in memory, which the first search fills
            with the records of all threads and runs.
    """

    def __init__(
        self, manager: RunManager, bridge: RunBridge, model: ReadModel | None = None
    ) -> None:
        self._manager = manager
        self._bridge = bridge
        self._model = model or ReadModel(bridge.state_feed)

    @property
    def crons(self) -> Crons:
        """The crons; their calls take who asks, too."""
        return self._manager.crons

    async def create_thread(
        self,
        *,
        thread_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_exists: Literal["raise", "do_nothing"] = "raise",
        ttl: TimeToLive | None = None,
        user_id: str | None = None,
    ) -> ThreadRecord:
        """Create a thread, or return the one that is there, as it is.

        Raises:
            ThreadExistsError: The id is taken, and ``if_exists`` is ``raise`` or the thread is
                not this user's.
        """
        try:
            return await self._manager.create_thread(
                thread_id, metadata=metadata, ttl=ttl, user_id=user_id
            )
        except ThreadExistsError as taken:
            if if_exists == "raise":
                raise
            found = await self._manager.records.find_thread(taken.thread_id)
            if found is None or found.record.deleting:
                raise
            if user_id not in (None, found.record.user_id):
                raise
            return found.record

    async def create_copy(self, source: ThreadRecord) -> ThreadRecord:
        """Create a thread that belongs, looks, ended and expires as another one does.

        Raises:
            UnavailableError: The server fell silent; a thread may have been created.
        """
        fresh = new_thread(None, source.metadata, source.user_id, source.ttl)
        copied = fresh.model_copy(update={"outputs": source.outputs, "last": source.last})
        return (await self._manager.records.write_thread(copied, revision=0)).record

    async def get_thread(self, thread_id: str, *, user_id: str | None = None) -> ThreadRecord:
        """Return a thread.

        Raises:
            ThreadNotFoundError: There is none, or it is someone else's.
        """
        return await self._manager.get_thread(thread_id, user_id=user_id)

    async def update_thread(
        self,
        thread_id: str,
        metadata: Mapping[str, Any],
        *,
        ttl: TimeToLive | None = None,
        user_id: str | None = None,
    ) -> ThreadRecord:
        """Set the named fields of a thread's metadata, and how long it stays; the rest stays.

        With nothing to set, the thread's time begins anew.

        Raises:
            ThreadNotFoundError: There is none, or it is someone else's.
        """
        return await self._manager.amend_thread(thread_id, metadata, ttl=ttl, user_id=user_id)

    async def delete_thread(self, thread_id: str, *, user_id: str | None = None) -> bool:
        """Delete a thread with all its runs and crons, for good; runs under way are stopped first.

        Returns:
            Whether there was one to delete; a deletion under way is gone on with.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        found = await self._manager.records.find_thread(check_id("thread_id", thread_id))
        if found is None or user_id not in (None, found.record.user_id):
            return False
        was_there = not found.record.deleting
        return await self._manager.deletion.delete_thread(thread_id) and was_there

    async def thread_state(self, thread_id: str, *, user_id: str | None = None) -> ThreadState:
        """Return a thread with the final values of its last successful run.

        Raises:
            ThreadNotFoundError: There is none, or it is someone else's.
            OutputsNotFoundError: The log no longer holds the values.
        """
        return await self.state_of(await self.get_thread(thread_id, user_id=user_id))

    async def state_of(self, thread: ThreadRecord) -> ThreadState:
        """Return a thread that was read a moment ago with its final values.

        Raises:
            OutputsNotFoundError: The log no longer holds the values.
        """
        if thread.outputs is None:
            return ThreadState(thread, None, None)
        ref = thread.outputs
        return ThreadState(thread, await self._values_of(ref.run_id, ref.event_id), ref.event_id)

    async def _values_of(self, run_id: str, event_id: str) -> Any:
        event = await self._bridge.find_event(run_id, event_id)
        if event is None:
            raise OutputsNotFoundError(run_id, event_id)
        return event.data
