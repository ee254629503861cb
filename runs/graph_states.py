"""What a gateway calls to see and change the state of threads whose runs are executed by graphs."""

from typing import Any

from bridge import JetStreamBridge, check_id
from runs.catalog import Assistant, AssistantCatalog
from runs.errors import AssistantNotFoundError, RunConflictError, StateUpdateError
from runs.graph_questions import GraphQuestion, checked
from runs.thread import ThreadRecord
from runs.thread_facade import ThreadsFacade


class GraphStates:
    """Asks workers about graphs.

    Args:
        bridge: A started bridge.
        threads: Finds threads for their users.
        catalog: Says which assistants are graphs.
        answer_s: Seconds that an answer is waited for, a worker's restart included.
    """

    def __init__(
        self,
        bridge: JetStreamBridge,
        threads: ThreadsFacade,
        catalog: AssistantCatalog,
        answer_s: float,
    ) -> None:
        self._bridge = bridge
        self._threads = threads
        self._catalog = catalog
        self._answer_s = answer_s

    def graph_of(self, thread: ThreadRecord) -> Assistant | None:
        """Return the graph that knows a thread's state; None where a function, or nobody, does.

        Raises:
            AssistantNotFoundError: The thread's runs were executed by what is not declared here.
        """
        if thread.executor is None:
            return None
        assistant = self._catalog.get(thread.executor)
        return assistant if assistant.is_graph else None

    async def ask(self, thread: ThreadRecord, graph: Assistant, **wanted: Any) -> bytes:
        """Ask about a thread's state.

        Args:
            thread: The thread.
            graph: The graph that knows it.
            wanted: Fields of :class:`GraphQuestion`.

        Returns:
            The answer as JSON.

        Raises:
            CheckpointNotFoundError: The thread has no such checkpoint.
            GraphFailedError: The graph's code failed.
            AssistantLoadError: The graph cannot be loaded.
            NoAnswerError: No worker of the graph answered.
        """
        question = GraphQuestion(thread_id=thread.thread_id, user_id=thread.user_id, **wanted)
        return await self._ask(graph, question, is_repeatable=True)

    async def ask_once(self, thread: ThreadRecord, graph: Assistant, **wanted: Any) -> bytes:
        """Have something done to a thread that must not be done twice; else as :meth:`ask`.

        Raises:
            NoAnswerError: No worker answered; it says whether it may have been done.
        """
        question = GraphQuestion(thread_id=thread.thread_id, user_id=thread.user_id, **wanted)
        return await self._ask(graph, question, is_repeatable=False)

    async def update(
        self,
        thread_id: str,
        values: Any,
        *,
        as_node: str | None = None,
        checkpoint: dict[str, Any] | None = None,
        user_id: str | None = None,
    ) -> bytes:
        """Change a thread's state as if a node had returned ``values``.

        Returns:
            Which checkpoint that made, as JSON.

        Raises:
            ThreadNotFoundError: There is no such thread, or it is someone else's.
            RunConflictError: A run is under way; nothing was changed.
            StateUpdateError: The thread belongs to no graph, or the graph refuses.
            CheckpointNotFoundError: The thread has no such checkpoint.
            NoAnswerError: No worker answered; it says whether the update may have happened.
        """
        thread = await self._threads.get_thread(check_id("thread_id", thread_id), user_id=user_id)
        graph = self.graph_of(thread)
        if graph is None:
            reason = "no graph knows this thread; start a run, or create it with a graph_id"
            raise StateUpdateError(reason)
        if thread.active is not None:
            raise RunConflictError(thread_id, thread.active.run_id)
        # Its time to live begins anew, before what it would take away is made.
        await self._threads.update_thread(thread_id, {}, user_id=user_id)
        return await self.ask_once(
            thread,
            graph,
            wants="update",
            checkpoint=checkpoint or {},
            values=values,
            as_node=as_node,
        )

    async def describe(self, assistant: Assistant, **wanted: Any) -> bytes:
        """Ask a graph about itself.

        Args:
            assistant: The graph.
            wanted: Fields of :class:`GraphQuestion`.

        Returns:
            The answer as JSON.

        Raises:
            AssistantNotFoundError: The graph has no such part.
            AssistantLoadError: The graph cannot be loaded.
            GraphFailedError: The graph's code failed.
            NoAnswerError: No worker of the graph answered.
        """
        return await self._ask(assistant, GraphQuestion(**wanted), is_repeatable=True)

    async def _ask(
        self, graph: Assistant, question: GraphQuestion, *, is_repeatable: bool
    ) -> bytes:
        if not graph.is_graph:
            raise AssistantNotFoundError(graph.name)
        answer = await self._bridge.calls.ask(
            graph.name,
            question.encode(),
            within_s=self._answer_s,
            is_repeatable=is_repeatable,
        )
        return checked(answer)
