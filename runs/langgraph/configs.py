"""What a LangGraph configuration says about checkpoints."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig


class Place(NamedTuple):
    """Which checkpoint a configuration means.

    Attributes:
        thread_id: The thread.
        namespace: The graph or subgraph in it; the graph itself has the empty one.
        checkpoint_id: The checkpoint; ``None`` means the newest.
    """

    thread_id: str
    namespace: str
    checkpoint_id: str | None

    @classmethod
    def of(cls, config: RunnableConfig) -> "Place":
        """Read a configuration."""
        said = config["configurable"]
        return cls(
            str(said["thread_id"]), said.get("checkpoint_ns") or "", said.get("checkpoint_id")
        )

    def config(self) -> RunnableConfig:
        """Return the configuration that means this place."""
        said: dict[str, Any] = {"thread_id": self.thread_id, "checkpoint_ns": self.namespace}
        if self.checkpoint_id is not None:
            said["checkpoint_id"] = self.checkpoint_id
        return {"configurable": said}


def run_id_of(config: RunnableConfig, metadata: Mapping[str, Any] | None = None) -> str | None:
    """Return the run that a call belongs to, where it says so."""
    for said in (metadata, config.get("metadata"), config.get("configurable")):
        run_id = (said or {}).get("run_id")
        if run_id is not None:
            return str(run_id)
    return None
