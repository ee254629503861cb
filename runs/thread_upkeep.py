"""What a gateway calls to make threads that have a state at once, and to take states away."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

from bridge import BridgeError
from runs.errors import RunConflictError, RunsError, StateUpdateError, ThreadNotFoundError
from runs.graph_states import GraphStates
from runs.thread import ThreadRecord
from runs.thread_facade import ThreadsFacade


class ThreadUpkeep:
    """Creates, copies and prunes threads, with what their graphs keep of them.

    Args:
        threads: Finds, creates and deletes threads for their users.
        graphs: Asks workers to see to the checkpoints.
    """

    def __init__(self, threads: ThreadsFacade, graphs: GraphStates) -> None:
        self._threads = threads
        self._graphs = graphs

    async def create(
        self,
        steps: Sequence[Sequence[dict[str, Any]]],
        *,
        metadata: dict[str, Any] | None = None,
        user_id: str | None = None,
        **options: Any,
    ) -> ThreadRecord:
        """Create a thread; see :meth:`ThreadsFacade.create_thread`.

        Args:
            steps: Updates that a graph's state is made of, step by step; none: it has no state.
            metadata: Of the thread; names the graph as ``graph_id``.
            user_id: Its owner.
            options: As they are.

        Raises:
            ThreadExistsError: The id is taken.
            StateUpdateError: No graph is named, and then nothing was created; or it refuses.
            NoAnswerError: No worker of the graph answered.
        """
        if steps and not isinstance((metadata or {}).get("graph_id"), str):
            raise StateUpdateError("supersteps need the name of a graph as graph_id in metadata")
        thread = await self._threads.create_thread(metadata=metadata, user_id=user_id, **options)
        if steps:
            await self._fill(thread, thread, wants="supersteps", supersteps=steps)
        return thread

    async def copy(self, thread_id: str, *, user_id: str | None = None) -> ThreadRecord:
        """Make a thread with the state and the whole history of another one, without its runs.

        Returns:
            The copy; it belongs to the owner of the original.

        Raises:
            ThreadNotFoundError: There is no such thread, or it is someone else's.
            RunConflictError: A run is under way; nothing was copied.
            NoAnswerError: No worker of the thread's graph answered; nothing is left of the copy.
        """
        source = await self._threads.get_thread(thread_id, user_id=user_id)
        if source.active is not None:
            raise RunConflictError(thread_id, source.active.run_id)
        copied = await self._threads.create_copy(source)
        await self._fill(copied, source, wants="copy", target=copied.thread_id)
        return copied

    async def _fill(self, made: ThreadRecord, asked: ThreadRecord, **wanted: Any) -> None:
        try:
            graph = self._graphs.graph_of(asked)
            if graph is not None:
                await self._graphs.ask_once(asked, graph, **wanted)
            elif wanted["wants"] == "supersteps":
                raise StateUpdateError("supersteps need a graph; graph_id names a function")
        except (RunsError, BridgeError):
            # Half a state must not be taken for a whole one.
            await self._threads.delete_thread(made.thread_id)
            raise

    async def prune(
        self,
        thread_ids: Sequence[str],
        strategy: Literal["delete", "keep_latest"],
        *,
        user_id: str | None = None,
    ) -> int:
        """Delete threads, or the history of their graphs; those that do not exist are passed over.

        Args:
            thread_ids: The threads.
            strategy: ``keep_latest`` spares the newest state, and threads of functions altogether.
            user_id: Who asks.

        Returns:
            How many of the threads there were.

        Raises:
            NoAnswerError: No worker of a thread's graph answered; those before it are pruned.
        """
        pruned = 0
        for thread_id in thread_ids:
            if strategy == "delete":
                pruned += await self._threads.delete_thread(thread_id, user_id=user_id)
                continue
            with suppress(ThreadNotFoundError):
                await self.keep_latest(await self._threads.get_thread(thread_id, user_id=user_id))
                pruned += 1
        return pruned

    async def keep_latest(self, thread: ThreadRecord) -> None:
        """Remove the history of a graph's thread; a function's thread has none.

        Raises:
            AssistantNotFoundError: What executed the thread's runs is not declared here.
            NoAnswerError: No worker of the graph answered.
        """
        graph = self._graphs.graph_of(thread)
        if graph is not None:
            await self._graphs.ask(thread, graph, wants="prune")
