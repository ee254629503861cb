"""What a gateway asks a worker about a graph, and how the worker says no.

Only workers load user code, so whatever needs the graph (which node is next, what an update does,
which schemas there are) is asked over the log's server and answered as JSON that the gateway passes
on.
"""

from typing import Any, Final, Literal

import orjson
from pydantic import Field

from runs.errors import (
    AssistantLoadError,
    CheckpointNotFoundError,
    GraphFailedError,
    RunsError,
    StateUpdateError,
    UnsupportedOptionError,
)
from runs.models import Frozen


class GraphQuestion(Frozen):
    """One question about a thread's state, or about a graph itself.

    Attributes:
        wants: What is asked.
        thread_id: The thread; None for a question about the graph.
        checkpoint: Where in the thread's history; empty: its newest state.
        subgraphs: Whether states of subgraphs belong to the answer.
        select: Which fields of a state; None means all.
        limit: How many states of a history.
        before: The place in the history before which it is read.
        metadata: What the metadata of a checkpoint must hold.
        values: What to update the state with.
        as_node: As which node.
        supersteps: Updates of a fresh thread, step by step, each with values or a command.
        target: The thread that a copy goes into.
        xray: How deep a drawing looks into subgraphs.
        namespace: One subgraph; None means all.
        recurse: Whether subgraphs of subgraphs count.
    """

    wants: Literal[
        "state",
        "history",
        "update",
        "supersteps",
        "copy",
        "prune",
        "schemas",
        "drawing",
        "subgraphs",
    ]
    thread_id: str | None = None
    checkpoint: dict[str, Any] = Field(default_factory=dict)
    subgraphs: bool = False
    select: tuple[str, ...] | None = None
    limit: int = 1
    before: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    values: Any = None
    as_node: str | None = None
    supersteps: tuple[tuple[dict[str, Any], ...], ...] = ()
    target: str | None = None
    xray: bool | int = False
    namespace: str | None = None
    recurse: bool = False
    user_id: str | None = None


#: An answer that begins so is a refusal; every other one is the document itself.
_REFUSAL: Final = b"!"


def refusal(code: str, *facts: str) -> bytes:
    """Encode why a question gets no answer."""
    return _REFUSAL + orjson.dumps([code, *facts])


def checked(answer: bytes) -> bytes:
    """Return the document that a worker answered with.

    Raises:
        RunsError: The worker refused.
    """
    if not answer.startswith(_REFUSAL):
        return answer
    code, *facts = orjson.loads(answer[len(_REFUSAL) :])
    raise _ERRORS.get(code, GraphFailedError)(*facts)


_ERRORS: Final[dict[str, type[RunsError]]] = {
    error.code: error
    for error in (
        AssistantLoadError,
        CheckpointNotFoundError,
        GraphFailedError,
        StateUpdateError,
        UnsupportedOptionError,
    )
}
