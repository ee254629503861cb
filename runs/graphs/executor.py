"""Execute a run by a graph: from its input, from its last checkpoint, or from where it waits."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from runs.context import RunContext
from runs.errors import AssistantLoadError, CheckpointNotFoundError, NothingToResumeError
from runs.graphs.invocation import Invocation
from runs.graphs.persistence import Persistence
from runs.graphs.publishing import GraphPublisher
from runs.graphs.source import Graph, GraphSource
from runs.graphs.usage import UsageMeter


class GraphExecutor:
    """Executes the runs of one declared graph.

    Args:
        source: Gives the graph.
        persistence: Returns where its checkpoints are, once the worker has begun.
    """

    def __init__(self, source: GraphSource, persistence: Callable[[], Persistence]) -> None:
        self._source = source
        self._persistence = persistence
        self.failure: AssistantLoadError | None = None

    async def execute(self, context: RunContext, given: Any) -> None:  # noqa: ARG002 - the record has more than the input
        """Run the graph to its end, or to where it waits for an answer.

        An attempt after the first goes on from the last checkpoint that an earlier attempt of the
        run has left; without one it begins again.

        Raises:
            NothingToResumeError: The run answers a question that nobody asked.
            CheckpointNotFoundError: The run begins at a checkpoint that does not exist.
            CheckpointFencedError: Another attempt has the thread; this one stores nothing more.
            BridgeError: An event could not be stored.
            Exception: Whatever the graph raises.
        """
        invocation = Invocation(context.record, context.attempt)
        meter = UsageMeter()
        invocation.config["callbacks"] = [meter]
        equipment = await self._persistence().for_run(context.record, context.attempt)
        opening = self._source.opened(
            "threads.create_run",
            invocation.config,
            equipment,
            context.record.kwargs.get("context"),
        )

        async def work() -> None:
            async with opening as graph:
                await _find_beginning(graph, equipment.checkpointer, invocation, context)
                await _publish(graph, invocation, context)

        try:
            await _cancelled_once(work())
        finally:
            context.uses(meter.model_name, meter.usage)


async def _find_beginning(
    graph: Graph,
    checkpointer: BaseCheckpointSaver[Any],
    invocation: Invocation,
    context: RunContext,
) -> None:
    configurable = invocation.config["configurable"]
    if context.attempt > 1:
        place = {"thread_id": context.thread_id, "checkpoint_ns": ""}
        latest = await checkpointer.aget_tuple(RunnableConfig(configurable=place))
        if latest is not None and latest.metadata.get("run_id") == context.run_id:
            for name in ("checkpoint_id", "checkpoint_map"):
                configurable.pop(name, None)
            invocation.given = None
            return
    if "checkpoint_id" in configurable:
        place = {"checkpoint_ns": "", **configurable}
        if await checkpointer.aget_tuple(RunnableConfig(configurable=place)) is None:
            raise CheckpointNotFoundError(context.thread_id, str(configurable["checkpoint_id"]))
    if invocation.is_answer:
        # On a thread without checkpoints the engine would take the answer for a beginning.
        snapshot = await graph.aget_state(invocation.config)
        if not snapshot.next:
            raise NothingToResumeError(context.thread_id)


async def _publish(graph: Graph, invocation: Invocation, context: RunContext) -> None:
    publisher = GraphPublisher(context, invocation.wanted)
    options = {
        **invocation.options,
        "context": invocation.context_for(graph.context_schema),
        "output_keys": graph.output_channels,
    }
    if invocation.has_events:
        events = graph.astream_events(invocation.given, invocation.config, version="v2", **options)
        await _take_events(events, invocation, publisher)
    else:
        chunks = graph.astream(invocation.given, invocation.config, **options)
        async with aclosing(cast("AsyncGenerator[Any]", chunks)) as received:
            async for chunk in received:
                await _take(chunk, invocation, publisher)
    await publisher.finish()


async def _take(chunk: Any, invocation: Invocation, publisher: GraphPublisher) -> None:
    namespace, mode, content = chunk if invocation.subgraphs else ((), *chunk)
    await publisher.take(namespace, mode, content)


async def _take_events(
    events: AsyncIterator[Any], invocation: Invocation, publisher: GraphPublisher
) -> None:
    # The engine's is a generator, and has to be closed for the graph to stop.
    async with aclosing(cast("AsyncGenerator[Any]", events)) as received:
        async for event in received:
            if event["event"] == "on_chain_stream" and not event["parent_ids"]:
                await _take(event["data"]["chunk"], invocation, publisher)
            else:
                await publisher.take_event(event)


async def _cancelled_once(work: Coroutine[Any, Any, None]) -> None:
    """Await ``work``; whoever cancels this, and however often, cancels it once and waits for it.

    The engine leaves in order at the first cancel. A second one on its way out would leave it
    writing checkpoints behind the run's end.
    """
    working = asyncio.create_task(work)
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        working.cancel()
        while not working.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([working])
        if not working.cancelled():
            working.exception()  # an error of a run that was stopped is no news
        raise
