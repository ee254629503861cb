"""The methods of a checkpointer that wait, on top of those that do not."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from runs.langgraph.blocking import wait_for

T = TypeVar("T")


class WaitingSaver(BaseCheckpointSaver[str]):
    """A checkpointer whose waiting methods have their work done on one event loop.

    Each raises what its async twin does, and BlockingCallError in the thread of that loop.

    Args:
        loop: Where the async methods belong.
        serde: Turns values into bytes; ``None`` means LangGraph's own.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, serde: SerializerProtocol | None = None
    ) -> None:
        super().__init__(serde=serde)
        self._loop = loop

    def _wait(self, call: Coroutine[Any, Any, T], name: str) -> T:
        return wait_for(self._loop, call, name)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Wait for :meth:`aget_tuple`."""
        return self._wait(self.aget_tuple(config), "get_tuple")

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Wait for :meth:`aput`."""
        return self._wait(self.aput(config, checkpoint, metadata, new_versions), "put")

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Wait for :meth:`aput_writes`."""
        self._wait(self.aput_writes(config, writes, task_id, task_path), "put_writes")

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Wait for :meth:`aget_delta_channel_history`."""
        call = self.aget_delta_channel_history(config=config, channels=channels)
        return self._wait(call, "get_delta_channel_history")

    def delete_thread(self, thread_id: str) -> None:
        """Wait for :meth:`adelete_thread`."""
        self._wait(self.adelete_thread(thread_id), "delete_thread")

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Wait for :meth:`adelete_for_runs`."""
        self._wait(self.adelete_for_runs(run_ids), "delete_for_runs")

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Wait for :meth:`acopy_thread`."""
        self._wait(self.acopy_thread(source_thread_id, target_thread_id), "copy_thread")

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Wait for :meth:`aprune`."""
        self._wait(self.aprune(thread_ids, strategy=strategy), "prune")

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Wait for what :meth:`alist` yields, one by one."""
        found = self.alist(config, filter=filter, before=before, limit=limit)

        async def following() -> CheckpointTuple | None:
            return await anext(found, None)

        while (each := self._wait(following(), "list")) is not None:
            yield each
