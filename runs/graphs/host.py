"""What all graphs of one worker share: checkpointer and store, opened once."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from bridge import JetStreamBridge, RunBridge
from runs.catalog import Assistant
from runs.errors import AssistantLoadError
from runs.executor import FailedExecutor, RunExecutor
from runs.graph_questions import refusal
from runs.graphs.answers import GraphAnswers
from runs.graphs.executor import GraphExecutor
from runs.graphs.persistence import Persistence, opened_persistence
from runs.graphs.source import GraphSource
from runs.settings import GraphSettings

#: Questions about one graph that one worker has in hand.
_MAX_QUESTIONS: Final = 16


class GraphHost:
    """Loads the graphs of a worker, and answers questions about them.

    Args:
        settings: What they share.
    """

    def __init__(self, settings: GraphSettings) -> None:
        self._settings = settings
        self._persistence: Persistence | None = None
        self._answers: dict[str, GraphAnswers | FailedAnswers] = {}

    def executor(self, assistant: Assistant) -> RunExecutor:
        """Load one graph; a failure becomes that of each of its runs."""
        try:
            source = GraphSource(assistant.function)
        except AssistantLoadError as exc:
            self._answers[assistant.name] = FailedAnswers(exc)
            return FailedExecutor(exc)
        self._answers[assistant.name] = GraphAnswers(assistant.name, source, self._shared)
        return GraphExecutor(source, self._shared)

    @asynccontextmanager
    async def opened(self, bridge: RunBridge) -> AsyncGenerator[None]:
        """Open checkpointer and store, and answer questions, for the length of a context.

        Raises:
            AssistantLoadError: The declared checkpointer cannot be loaded.
            BridgeError: The server cannot be used.
        """
        async with AsyncExitStack() as stack:
            opening = opened_persistence(self._settings, bridge)
            self._persistence = await stack.enter_async_context(opening)
            for name, answers in self._answers.items():
                if not isinstance(bridge, JetStreamBridge):
                    break  # nobody else is there to ask
                answering = bridge.calls.answering(name, answers.answer, max_at_once=_MAX_QUESTIONS)
                await stack.enter_async_context(answering)
            yield

    def _shared(self) -> Persistence:
        if self._persistence is None:
            msg = "the graphs' checkpointer is not open"
            raise RuntimeError(msg)
        return self._persistence


class FailedAnswers:
    """Answers every question about a graph that cannot be loaded with the reason."""

    def __init__(self, failure: AssistantLoadError) -> None:
        self._refusal = refusal(failure.code, failure.function, failure.reason)

    async def answer(self, content: bytes) -> bytes:  # noqa: ARG002 - whatever is asked
        """Refuse."""
        return self._refusal
