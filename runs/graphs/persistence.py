"""Where the graphs of a worker keep their checkpoints and their long-term memory."""

import inspect
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, NamedTuple

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from bridge import JetStreamBridge
from runs.errors import AssistantLoadError
from runs.loader import load_attribute
from runs.settings import GraphSettings


class Persistence(NamedTuple):
    """What every graph of this process is given; the fields are named as a graph names them."""

    checkpointer: BaseCheckpointSaver[Any]
    store: BaseStore


@asynccontextmanager
async def opened_persistence(
    settings: GraphSettings, bridge: JetStreamBridge
) -> AsyncGenerator[Persistence]:
    """Open checkpointer and store for the length of a context.

    Args:
        settings: Names another checkpointer than the one on the log's server, if any.
        bridge: A started bridge.

    Raises:
        AssistantLoadError: The declared checkpointer cannot be loaded.
    """
    store = InMemoryStore()
    if settings.checkpointer is None:
        yield Persistence(InMemorySaver(serde=serializer_of(settings)), store)
        return
    async with _declared(settings.checkpointer) as saver:
        yield Persistence(saver, store)


def serializer_of(settings: GraphSettings) -> JsonPlusSerializer:
    """Return what turns checkpoints into bytes."""
    allowed: dict[str, Any] = {}
    if settings.allowed_msgpack_modules is not None:
        allowed["allowed_msgpack_modules"] = settings.allowed_msgpack_modules
    return JsonPlusSerializer(
        pickle_fallback=settings.pickle_fallback,
        allowed_json_modules=settings.allowed_json_modules,
        **allowed,
    )


@asynccontextmanager
async def _declared(target: str) -> AsyncGenerator[BaseCheckpointSaver[Any]]:
    made = load_attribute(target)
    if callable(made) and not isinstance(made, BaseCheckpointSaver):
        made = made()
    if inspect.isawaitable(made):
        made = await made
    if isinstance(made, AbstractAsyncContextManager) and not isinstance(made, BaseCheckpointSaver):
        async with made as entered:
            yield _checked(target, entered)
    elif isinstance(made, AbstractContextManager) and not isinstance(made, BaseCheckpointSaver):
        with made as entered:
            yield _checked(target, entered)
    else:
        yield _checked(target, made)


def _checked(target: str, made: object) -> BaseCheckpointSaver[Any]:
    if not isinstance(made, BaseCheckpointSaver):
        raise AssistantLoadError(target, f"is no checkpointer but {type(made).__name__}")
    return made
